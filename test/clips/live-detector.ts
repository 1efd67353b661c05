import { defaultModelLocations } from '../../models/locations.ts';
import { resolveDetector } from '../../models/resolve.ts';

/**
 * Whether the detector that is at hand keeps up with live video here. Only YuNet does: the fallback takes longer for a
 * picture than the picture lasts, so that most of them are dropped as late.
 */
export const hasLiveDetector: boolean = await resolveDetector(
  { ...defaultModelLocations({}), allowDownload: false },
  () => undefined,
).then(
  ({ entry }) => entry.family === 'yunet',
  () => false,
);

/** Stands in the names of tests that are skipped for the lack of it. */
export const LIVE = '(needs YuNet)';

/** How many of FIVE_PEOPLE an analysis tells who they are: one of them the fallback detector sees too unsurely. */
export const PEOPLE_TOLD = hasLiveDetector ? 5 : 4;
