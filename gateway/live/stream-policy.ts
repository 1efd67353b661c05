import { InferenceError } from '../../inference/errors.ts';
import type { LivePolicy } from '../../inference/live/live-engine.ts';
import { DEFAULT_POLICY, makePolicy } from '../../inference/policy.ts';
import { GatewayError } from '../errors.ts';

export const POLICY_MODES = ['all', 'except', 'only'] as const;
/** What the contract knows; what the engine can draw is `makePolicy`'s to say. */
export const BLUR_STYLES = ['mosaic', 'solid', 'gaussian'] as const;
export const MAX_LOOKAHEAD_FRAMES = 15;

/** Who is blurred in a stream, and how: the contract's Policy. */
export interface StreamPolicy extends LivePolicy {
  readonly mode: (typeof POLICY_MODES)[number];
  /** Ids of the people that `mode` is about. */
  readonly identities: readonly string[];
}

/** A policy, or the part of one, as a client sends it: in range, perhaps not possible. */
export type WantedPolicy = {
  readonly [Name in keyof StreamPolicy]?: (Name extends 'style' ? string : StreamPolicy[Name]) | undefined;
};

export const DEFAULT_STREAM_POLICY: StreamPolicy = Object.freeze({
  mode: 'all',
  identities: Object.freeze([]),
  ...DEFAULT_POLICY,
  lookaheadFrames: 3,
});

/**
 * Lays what is wanted over what is there.
 * @throws GatewayError 'unprocessable' for a style that the engine can't draw, or people who are not enrolled
 */
export function mergePolicy(current: StreamPolicy, wanted: WantedPolicy): StreamPolicy {
  const style = (wanted.style ?? current.style) as StreamPolicy['style'];
  const strength = wanted.strength ?? current.strength;
  const margin = wanted.margin ?? current.margin;
  const identities = wanted.identities ?? current.identities;
  if (identities.length > 0) {
    throw new GatewayError('unprocessable', 'policy.identities names people who are not enrolled; none are');
  }
  return Object.freeze({
    mode: wanted.mode ?? current.mode,
    identities: Object.freeze([...identities]),
    ...drawable({ style, strength, margin }),
    lookaheadFrames: wanted.lookaheadFrames ?? current.lookaheadFrames,
  });
}

function drawable(wanted: Parameters<typeof makePolicy>[0]): ReturnType<typeof makePolicy> {
  try {
    return makePolicy(wanted);
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    throw new GatewayError('unprocessable', `policy: ${error.message}`, { cause: error });
  }
}
