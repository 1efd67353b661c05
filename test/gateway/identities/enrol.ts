import type { LiveApp } from '../live/live-app.ts';
import { type FakeFace, fakePhoto } from './fake-images.ts';

/** The form of `POST /v1/identities`. */
export function enrolmentForm(name: string | null, photos: readonly Uint8Array[], field = 'images[]'): FormData {
  const form = new FormData();
  if (name !== null) form.set('name', name);
  for (const photo of photos) form.append(field, new Blob([Uint8Array.from(photo)]), 'photo.jpg');
  return form;
}

/** Sends a form, and reads the answer. */
export async function postForm(live: Pick<LiveApp, 'app'>, form: FormData, headers: Record<string, string> = {}) {
  const response = await live.app.request('/v1/identities', { method: 'POST', body: form, headers });
  // biome-ignore lint/suspicious/noExplicitAny: tests assert on what they read
  return { status: response.status, headers: response.headers, body: (await response.json()) as any };
}

/** Enrols one person of the fake engine's. @returns the identity's id */
export async function enrolPerson(live: Pick<LiveApp, 'app'>, person: string, ...more: FakeFace[]): Promise<string> {
  const photos = [{ person }, ...more].map((face) => fakePhoto(face));
  const { status, body } = await postForm(live, enrolmentForm(person, photos));
  if (status !== 201) throw new Error(`enrolment answered ${status}: ${JSON.stringify(body)}`);
  return body.id;
}
