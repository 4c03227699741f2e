import { play } from "./phase.js";
import { start } from "./start.js";

// Before every step of the job, this action's own included.
await play(start);
