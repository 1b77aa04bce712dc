/** Version of the program, the same as in package.json (a test compares them). */
export const VERSION = "0.1.0";

/** Raised whenever a method, an event or an error code changes its meaning; front ends compare it in `service/hello`. */
export const PROTOCOL_VERSION = 11;
