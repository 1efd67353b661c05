import { type AddressGuardOptions, resolvePublicAddress } from '../../sfu/address-guard.ts';
import { SfuError } from '../../sfu/errors.ts';

/**
 * Tells whoever makes a stream at once that its source will be refused; what connects looks again, as names change.
 * A host that can't be resolved now is let through: a camera may be off.
 * @returns rejects with SfuError 'source-refused'
 */
export function urlCheck(options: AddressGuardOptions): (url: string) => Promise<void> {
  return async (url) => {
    try {
      await resolvePublicAddress(new URL(url).hostname, options);
    } catch (error) {
      if (!(error instanceof SfuError) || error.code !== 'source-unreachable') throw error;
    }
  };
}
