/** The public face of the package. */
export { SiriError } from "./errors.js";
export type * from "./env/environment.js";
export { defineEnvironment } from "./env/environment.js";
export type * from "./agent/agent.js";
export type * from "./policy/types.js";
export * from "./kernels.js";
