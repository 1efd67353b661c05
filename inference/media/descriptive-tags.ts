/**
 * Tags that say what a file is about, and may be kept on request. Nothing that says where, by whom's device or with what
 * program it was made: no location, make, model, serial number, owner, XMP, encoder.
 */
const KEPT: ReadonlySet<string> = new Set([
  'album',
  'album_artist',
  'artist',
  'author',
  'comment',
  'composer',
  'copyright',
  'creation_time',
  'date',
  'description',
  'director',
  'disc',
  'episode_id',
  'episode_sort',
  'genre',
  'grouping',
  'keywords',
  'network',
  'performer',
  'publisher',
  'season_number',
  'show',
  'sort_name',
  'subtitle',
  'summary',
  'synopsis',
  'title',
  'track',
  'year',
]);

/** A longer text is no description. Characters. */
const MAX_LENGTH = 4096;
/** A place as ISO 6709 writes it, e.g. `+48.8577+002.2950/`, wherever it stands. */
const PLACE = /[+-]\d{2,6}(\.\d+)?[+-]\d{3,7}(\.\d+)?([+-]\d+(\.\d+)?)?(CRS[^/]*)?\//i;
/** Packets of metadata in a text's place. */
const EMBEDDED = /<\?xpacket|<x:xmpmeta|<rdf:RDF|^Exif\0/i;
/** FFmpeg puts a tag that a file has twice, in two ways, into one: `first;second`. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?/;
/** ISO 639, with or without a country. */
const LANGUAGE = /^[a-z]{2,3}(-[a-z]{2})?$/i;

/** @returns the tags of a file that describe it, under lower-case names */
export function descriptiveTags(tags: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(tags)) {
    const key = name.toLowerCase();
    if (!KEPT.has(key) || value.length > MAX_LENGTH || PLACE.test(value) || EMBEDDED.test(value)) continue;
    const text = key === 'creation_time' ? MOMENT.exec(value)?.[0] : value;
    if (text) kept[key] = text;
  }
  return kept;
}

/** @returns of a track's tags only its language, where it is one */
export function languageTag(tags: Readonly<Record<string, string>>): Record<string, string> {
  const language = Object.entries(tags).find(([name]) => name.toLowerCase() === 'language')?.[1];
  return language && LANGUAGE.test(language) ? { language } : {};
}
