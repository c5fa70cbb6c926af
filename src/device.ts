/** Names of the devices a policy can run on. Which of them this build and machine have is for the engine to say. */

/** `emulated` is in builds made for tests only. */
export const DEVICE_PATTERN = /^(cpu|auto|cuda(:\d{1,3})?|emulated)$/;
export const KNOWN_DEVICES = "known are cpu, cuda, cuda:N (N from 0) and auto";
