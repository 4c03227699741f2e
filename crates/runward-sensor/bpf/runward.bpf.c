// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel side of Runward's sensor. One object, one file a subject:
 *
 *   abi.h      what both sides say to each other
 *   kernel.h   the kernel's types, by hand
 *   common.h   maps, the ring, a task's place in a job
 *   lockdown.h a job that is killed as soon as it does what it must not
 *   process.h  fork, exec, exit; exec_record.h, streams.h
 *   adopt.h    processes that ran before their job began
 *   memory.h   other processes' memory
 *   mounts.h   who mounts something
 *   containers.h  containers that a daemon starts for a job; engines.h
 *   sockets.h  what is known of a socket and its peers
 *   packets.h  where a packet goes, DNS messages
 *   listed.h   what no job reaches: the block list
 *   verdict.h  what a job's policy allows
 *   fence.h    a socket's requests and packets, judged
 *   network.h  the hooks of the network
 *   tamper.h   who must be left alone, and how an attempt on it is told
 *   names.h    short names, compared
 *   syscalls.h which system call a task is in
 *   protect.h  what else a fenced job may not do; protect_files.h, protect_sockets.h
 *   watch.h    the same where it can't be refused
 *   open_sockets.h  sockets that a job did not make itself
 */
#include "common.h"
#include "process.h"
#include "adopt.h"
#include "network.h"
#include "protect.h"
#include "watch.h"
#include "memory.h"
#include "mounts.h"
#include "open_sockets.h"
#include "engines.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Makes the build generate the types of abi.h for the user side; holds nothing. */
const struct {
	struct rw_fork fork;
	struct rw_exec exec;
	struct rw_exit exit;
	struct rw_connect connect;
	struct rw_connect_close connect_close;
	struct rw_dns dns;
	struct rw_socket_gone socket_gone;
	struct rw_flow_key flow_key;
	struct rw_flow flow;
	struct rw_task task;
	struct rw_refused refused;
	struct rw_netns netns;
	struct rw_mount_call mount_call;
	struct rw_container container;
	struct rw_engine_client engine_client;
	struct rw_tamper tamper;
	struct rw_stream stream;
	struct rw_memory memory;
	struct rw_grants grants;
	struct rw_net_key net_key;
	struct rw_listed_net listed_net;
	struct rw_binding binding;
	struct rw_address_key address_key;
	struct rw_name_key name_key;
	struct rw_fence fence;
	struct rw_resolver_key resolver_key;
	struct rw_lockdown lockdown;
	struct rw_program program;
	struct rw_condemned condemned;
	struct rw_adopted adopted;
	struct rw_strange_socket strange_socket;
	enum rw_kind kind;
	enum rw_loss loss;
	enum rw_outcome outcome;
	enum rw_reason reason;
	enum rw_act act;
	enum rw_tamper_outcome tamper_outcome;
	enum rw_stream_kind stream_kind;
	enum rw_memory_way memory_way;
	enum rw_introduction introduction;
	enum rw_ban ban;
} abi_types = {};
