import type { LivePolicy } from '../../inference/live/live-engine.ts';
import { DEFAULT_POLICY, type KnownPerson, makePolicy } from '../../inference/policy.ts';
import { GatewayError } from '../errors.ts';

export const POLICY_MODES = ['all', 'except', 'only'] as const;
export const MAX_LOOKAHEAD_FRAMES = 15;

/** Who is blurred in a stream, and how: the contract's Policy. An engine gets what `enginePolicyOf` makes of it. */
export interface StreamPolicy extends Omit<LivePolicy, 'people'> {
  readonly mode: (typeof POLICY_MODES)[number];
  /** Ids of the people that `mode` is about. */
  readonly identities: readonly string[];
}

/** A policy, or the part of one, as a client sends it: in range, perhaps not possible. */
export type WantedPolicy = { readonly [Name in keyof StreamPolicy]?: StreamPolicy[Name] | undefined };

/** Those whom a policy can be about. */
export interface People {
  /** The recogniser that knows them, by its name in the manifest. */
  readonly recogniser: string;
  has(id: string): boolean;
  /** Null where nobody can be recognised by this id. */
  personOf(id: string): KnownPerson | null;
  nameOf(id: string): string | null;
}

export const DEFAULT_STREAM_POLICY: StreamPolicy = Object.freeze({
  mode: 'all',
  identities: Object.freeze([]),
  ...DEFAULT_POLICY,
  lookaheadFrames: 3,
});

/**
 * Lays what is wanted over what is there.
 * @throws GatewayError 'unprocessable' for people who are not enrolled, or can't be recognised, and were not named before
 */
export function mergePolicy(current: StreamPolicy, wanted: WantedPolicy, people: People): StreamPolicy {
  const style = wanted.style ?? current.style;
  const strength = wanted.strength ?? current.strength;
  const margin = wanted.margin ?? current.margin;
  const identities = wanted.identities ?? current.identities;
  for (const [i, id] of identities.entries()) {
    if (people.personOf(id) || (people.has(id) && current.identities.includes(id))) continue;
    const why = people.has(id)
      ? 'this person was enrolled with another recogniser; enrol anew'
      : 'nobody is enrolled by this id';
    throw new GatewayError('unprocessable', `policy.identities.${i}: ${why}`);
  }
  return Object.freeze({
    mode: wanted.mode ?? current.mode,
    identities: Object.freeze([...new Set(identities)]),
    ...makePolicy({ style, strength, margin }),
    lookaheadFrames: wanted.lookaheadFrames ?? current.lookaheadFrames,
  });
}

/**
 * What is left of a policy when a person is erased. Whoever `only` was to cover would be seen as soon as told apart from
 * the others it names, or where it names no others: everybody is covered instead.
 */
export function withoutPerson(policy: StreamPolicy, id: string): StreamPolicy {
  if (!policy.identities.includes(id)) return policy;
  const identities = Object.freeze(policy.identities.filter((other) => other !== id));
  return Object.freeze({ ...policy, identities, mode: policy.mode === 'only' ? 'all' : policy.mode });
}

/** The policy that an engine follows: without `people`, every face is covered. */
export function enginePolicyOf(policy: StreamPolicy, people: People): LivePolicy {
  const { mode, identities, ...blur } = policy;
  const known = identities.flatMap((id) => people.personOf(id) ?? []);
  if (mode === 'all' || known.length === 0) return blur;
  // Whoever can't be recognised would be taken for somebody whom `only` does not name.
  if (mode === 'only' && known.length < identities.length) return blur;
  return { ...blur, people: { mode, recogniser: people.recogniser, people: known } };
}

/** Why more people are covered than a policy says; null where none are. */
export function reasonToCover({ mode, identities }: StreamPolicy, people: People): string | null {
  if (mode === 'all') return null;
  const unknown = identities.filter((id) => !people.personOf(id)).length;
  if (mode === 'only' && identities.length === 0) return 'only names nobody: everybody is covered';
  if (unknown === 0) return null;
  const who = `${unknown} of ${identities.length} people can not be recognised and must be enrolled anew`;
  return mode === 'only' ? `${who}: everybody is covered` : `${who}: they stay covered`;
}
