import { InferenceError } from './errors.ts';

/**
 * `mosaic`: few, rounded cells. `solid`: one grey, which nothing survives. `gaussian`: a blur as wide as the face asks
 * for; by nature the weakest, as only its width and rounding keep it from being undone.
 */
export const BLUR_STYLES = ['mosaic', 'solid', 'gaussian'] as const;
export type BlurStyle = (typeof BLUR_STYLES)[number];

/** How a covered face looks. Who is covered is everyone but those whom a PeoplePolicy shows. */
export interface BlurPolicy {
  readonly style: BlurStyle;
  /** 0..1, adds above the irreversible floor, never below it. A solid cover has nothing to add. */
  readonly strength: number;
  /** 0..1, how far the mask reaches past the face box, as a fraction of the box. */
  readonly margin: number;
}

/** A person as recognition knows one. */
export interface KnownPerson {
  readonly id: string;
  /** One or more of unit length, of one recogniser; whoever made them erases them. */
  readonly embeddings: readonly Float32Array[];
}

/** Who may be seen. Who is not yet told apart is covered in either mode. */
export interface PeoplePolicy {
  /** `except`: only these people are seen. `only`: these people are covered, and others seen once they surely are others. */
  readonly mode: 'except' | 'only';
  /** The recogniser that made the embeddings, by its name in the manifest: no other's are compared with them. */
  readonly recogniser: string;
  readonly people: readonly KnownPerson[];
}

export const DEFAULT_POLICY: BlurPolicy = Object.freeze({ style: 'mosaic', strength: 0.5, margin: 0.3 });

/**
 * Fills in the defaults.
 * @throws InferenceError 'bad-options' when a value is out of range
 */
export function makePolicy(wanted: Partial<BlurPolicy> = {}): BlurPolicy {
  const policy: BlurPolicy = {
    style: wanted.style ?? DEFAULT_POLICY.style,
    strength: wanted.strength ?? DEFAULT_POLICY.strength,
    margin: wanted.margin ?? DEFAULT_POLICY.margin,
  };
  if (!BLUR_STYLES.includes(policy.style)) {
    throw new InferenceError('bad-options', `style ${policy.style} is not one of ${BLUR_STYLES.join(', ')}`);
  }
  for (const name of ['strength', 'margin'] as const) {
    if (!(policy[name] >= 0 && policy[name] <= 1)) {
      throw new InferenceError('bad-options', `${name} is ${policy[name]}; it goes from 0 to 1`);
    }
  }
  return Object.freeze(policy);
}
