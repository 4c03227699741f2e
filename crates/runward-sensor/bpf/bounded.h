/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RUNWARD_BOUNDED_H
#define RUNWARD_BOUNDED_H

/*
 * The value, or 0 when it is larger than `max` (a constant). In assembly, so that the compiler cannot separate the check
 * from the use: older verifiers forget what they learnt about a copy.
 */
#define bounded(value, max)                                                                                        \
	({                                                                                                         \
		__u64 checked = (value);                                                                           \
		asm volatile("if %0 <= %1 goto +1\n"                                                               \
			     "%0 = 0\n"                                                                            \
			     : "+r"(checked)                                                                       \
			     : "i"(max));                                                                          \
		checked;                                                                                           \
	})

#endif
