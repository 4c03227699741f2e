import { end } from "./end.js";
import { play } from "./phase.js";

await play(end);
