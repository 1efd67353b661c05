/** A 64-bit NTP timestamp: seconds since 1900, modulo 2^32, and 2^-32 seconds. */
export interface NtpTime {
  readonly seconds: number;
  readonly fraction: number;
}

const ERA_SECONDS = 2 ** 32;
/** From 1900 to 1970. */
const UNIX_EPOCH_SECONDS = 2_208_988_800;

/** @param unixMs with fractions */
export function toNtp(unixMs: number): NtpTime {
  const whole = Math.floor(unixMs / 1000);
  const fraction = Math.round(((unixMs - whole * 1000) / 1000) * ERA_SECONDS);
  // Rounded up to a whole second.
  const carry = fraction === ERA_SECONDS ? 1 : 0;
  return { seconds: (whole + UNIX_EPOCH_SECONDS + carry) % ERA_SECONDS, fraction: carry === 1 ? 0 : fraction };
}

/**
 * @returns Unix time in ms, to the microsecond. Seconds whose highest bit is not set are of the era that begins in
 *   2036 (RFC 4330 §3).
 */
export function fromNtp({ seconds, fraction }: NtpTime): number {
  const era = seconds < ERA_SECONDS / 2 ? ERA_SECONDS : 0;
  const microseconds = Math.round((fraction / ERA_SECONDS) * 1e6);
  return (seconds + era - UNIX_EPOCH_SECONDS) * 1000 + microseconds / 1000;
}
