import type { LivePolicy } from '../../inference/live/live-engine.ts';
import { DEFAULT_POLICY, makePolicy } from '../../inference/policy.ts';
import { GatewayError } from '../errors.ts';

export const POLICY_MODES = ['all', 'except', 'only'] as const;
export const MAX_LOOKAHEAD_FRAMES = 15;

/** Who is blurred in a stream, and how: the contract's Policy. */
export interface StreamPolicy extends LivePolicy {
  readonly mode: (typeof POLICY_MODES)[number];
  /** Ids of the people that `mode` is about. */
  readonly identities: readonly string[];
}

/** A policy, or the part of one, as a client sends it: in range, perhaps not possible. */
export type WantedPolicy = { readonly [Name in keyof StreamPolicy]?: StreamPolicy[Name] | undefined };

export const DEFAULT_STREAM_POLICY: StreamPolicy = Object.freeze({
  mode: 'all',
  identities: Object.freeze([]),
  ...DEFAULT_POLICY,
  lookaheadFrames: 3,
});

/**
 * Lays what is wanted over what is there.
 * @throws GatewayError 'unprocessable' for people who are not enrolled
 */
export function mergePolicy(current: StreamPolicy, wanted: WantedPolicy): StreamPolicy {
  const style = wanted.style ?? current.style;
  const strength = wanted.strength ?? current.strength;
  const margin = wanted.margin ?? current.margin;
  const identities = wanted.identities ?? current.identities;
  if (identities.length > 0) {
    throw new GatewayError('unprocessable', 'policy.identities names people who are not enrolled; none are');
  }
  return Object.freeze({
    mode: wanted.mode ?? current.mode,
    identities: Object.freeze([...identities]),
    ...makePolicy({ style, strength, margin }),
    lookaheadFrames: wanted.lookaheadFrames ?? current.lookaheadFrames,
  });
}
