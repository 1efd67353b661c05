import { InferenceError } from './errors.ts';

export type BlurStyle = 'mosaic';

/** How a covered face looks. Who is covered is everyone: identities come on top of this. */
export interface BlurPolicy {
  readonly style: BlurStyle;
  /** 0..1, adds above the irreversible floor, never below it. */
  readonly strength: number;
  /** 0..1, how far the mask reaches past the face box, as a fraction of the box. */
  readonly margin: number;
}

export const DEFAULT_POLICY: BlurPolicy = Object.freeze({ style: 'mosaic', strength: 0.5, margin: 0.3 });

const STYLES: readonly BlurStyle[] = ['mosaic'];

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
  if (!STYLES.includes(policy.style)) {
    throw new InferenceError('bad-options', `style ${policy.style} is not one of ${STYLES.join(', ')}`);
  }
  for (const name of ['strength', 'margin'] as const) {
    if (!(policy[name] >= 0 && policy[name] <= 1)) {
      throw new InferenceError('bad-options', `${name} is ${policy[name]}; it goes from 0 to 1`);
    }
  }
  return Object.freeze(policy);
}
