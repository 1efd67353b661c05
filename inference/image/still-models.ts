import type { ModelLocations } from '../../models/locations.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { resolveDetector, resolveModelOf, resolveRecogniser } from '../../models/resolve.ts';
import type { Detector } from '../detect/detector.ts';
import { openDetector } from '../detect/open-detector.ts';
import { AgeGenderReader, ExpressionReader } from '../recognise/face-attributes.ts';
import { FaceEmbedder } from '../recognise/face-embedder.ts';
import { LandmarkFinder } from '../recognise/landmark-finder.ts';
import { AGE_GENDER, EXPRESSION, LANDMARKS } from './still-model-names.ts';

const DETECTOR_THREADS = 2;
/** Of models of single faces, which are too small to share out. */
const CHIP_THREADS = 1;

/**
 * The models of still pictures, each found and loaded when it is first asked for, and tried anew after it could not be
 * had. Calls must not overlap. They go with their process.
 *
 * @throws ModelError, or InferenceError 'model-unusable': all of its methods
 */
export class StillModels {
  readonly #locations: ModelLocations;
  readonly #onWarning: (message: string) => void;
  #detector: { readonly entry: ModelEntry; readonly detector: Detector } | undefined;
  #embedder: FaceEmbedder | undefined;
  #landmarkFinder: LandmarkFinder | undefined;
  #ageGenderReader: AgeGenderReader | undefined;
  #expressionReader: ExpressionReader | undefined;

  constructor(locations: ModelLocations, onWarning: (message: string) => void) {
    this.#locations = locations;
    this.#onWarning = onWarning;
  }

  async detector(): Promise<{ readonly entry: ModelEntry; readonly detector: Detector }> {
    if (this.#detector) return this.#detector;
    const { entry, bytes } = await resolveDetector(this.#locations, this.#onWarning);
    this.#detector = { entry, detector: await openDetector(entry, bytes, DETECTOR_THREADS) };
    return this.#detector;
  }

  async embedder(): Promise<FaceEmbedder> {
    if (this.#embedder) return this.#embedder;
    const { entry, bytes } = await resolveRecogniser(this.#locations);
    this.#embedder = await FaceEmbedder.open(entry, bytes, CHIP_THREADS);
    return this.#embedder;
  }

  async landmarkFinder(): Promise<LandmarkFinder> {
    if (this.#landmarkFinder) return this.#landmarkFinder;
    const { entry, bytes } = await resolveModelOf('landmarks', LANDMARKS, this.#locations);
    this.#landmarkFinder = await LandmarkFinder.open(entry, bytes, CHIP_THREADS);
    return this.#landmarkFinder;
  }

  async ageGenderReader(): Promise<AgeGenderReader> {
    if (this.#ageGenderReader) return this.#ageGenderReader;
    const { entry, bytes } = await resolveModelOf('attributes', AGE_GENDER, this.#locations);
    this.#ageGenderReader = await AgeGenderReader.open(entry, bytes, CHIP_THREADS);
    return this.#ageGenderReader;
  }

  async expressionReader(): Promise<ExpressionReader> {
    if (this.#expressionReader) return this.#expressionReader;
    const { entry, bytes } = await resolveModelOf('attributes', EXPRESSION, this.#locations);
    this.#expressionReader = await ExpressionReader.open(entry, bytes, CHIP_THREADS);
    return this.#expressionReader;
  }
}
