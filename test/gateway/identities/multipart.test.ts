import { describe, expect, test } from 'vitest';
import type { GatewayError } from '../../../gateway/errors.ts';
import { boundaryOf, readMultipart } from '../../../gateway/identities/multipart.ts';

const part = (name: string, content: string, more = '') =>
  `--B\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`;
const END = '--B--\r\n';
const read = (text: string, maxParts = 30) =>
  readMultipart(Buffer.from(text), 'B', maxParts).map(({ name, filename, content }) => [
    name,
    filename,
    content.toString(),
  ]);

function refusal(work: () => unknown): GatewayError {
  try {
    work();
  } catch (error) {
    return error as GatewayError;
  }
  throw new Error('it was taken');
}

describe('a form', () => {
  test('as the platform writes it is read as it was', async () => {
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) & 0xff);
    const form = new FormData();
    form.set('name', 'Zoë "Z" 👩‍🔬\r\n--');
    form.append('images[]', new Blob([bytes]), 'ö "1".jpg');
    form.append('images[]', new Blob([]), 'empty');
    const response = new Response(form);
    const boundary = boundaryOf(response.headers.get('content-type')!);
    const parts = readMultipart(Buffer.from(await response.arrayBuffer()), boundary, 3);
    expect(parts.map(({ name, filename }) => [name, filename])).toEqual([
      ['name', null],
      ['images[]', 'ö "1".jpg'],
      ['images[]', 'empty'],
    ]);
    expect(parts[0]!.content.toString()).toBe('Zoë "Z" 👩‍🔬\r\n--');
    expect(Uint8Array.from(parts[1]!.content)).toEqual(bytes);
    expect(parts[2]!.content.length).toBe(0);
  });

  test('may have a preamble, an epilogue, spaces after a boundary, other headers and unquoted names', () => {
    const text = `hello\r\n--B \t\r\nX-Other: 1\r\nCONTENT-DISPOSITION:form-data;name=a\r\nContent-Type: text/plain\r\n\r\n1\r\n${END}bye --B`;
    expect(read(text)).toEqual([['a', null, '1']]);
  });

  test('holds bytes that are nearly a boundary', () => {
    const content = '\r\n--A\r\n-B\r\n--\r\n\r\n';
    expect(read(part('a', content) + END)).toEqual([['a', null, content]]);
  });

  test('without fields is one', () => expect(read(END)).toEqual([]));

  test('cut off anywhere is refused', () => {
    const whole = part('name', 'x') + part('images[]', 'y', '; filename="f"') + END;
    expect(read(whole)).toHaveLength(2);
    for (let end = 0; end < whole.length - 4; end++) {
      expect(
        refusal(() => read(whole.slice(0, end))),
        `${end} bytes`,
      ).toMatchObject({ code: 'bad-request' });
    }
  });

  test.each([
    ['no body', ''],
    ['another boundary', '--C\r\n'],
    ['a boundary with more on its line', `--Bx\r\n\r\n\r\n${END}`],
    ['a field without headers', `--B\r\nx\r\n${END}`],
    ['a field without a name', `--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n${END}`],
    ['an attachment', `--B\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n${END}`],
    ['a name only of a file', `--B\r\nContent-Disposition: form-data; filename="a"\r\n\r\nx\r\n${END}`],
    ['headers that do not end', `--B\r\n${'X: y\r\n'.repeat(2000)}\r\nx\r\n${END}`],
  ])('with %s is refused in one line', (_what, text) => {
    const error = refusal(() => read(text));
    expect([error.code, error.message.includes('\n')]).toEqual(['bad-request', false]);
  });

  test('with a name that is no UTF-8 is refused', () => {
    const body = Buffer.from(part('a\xff', 'x') + END, 'latin1');
    expect(refusal(() => readMultipart(body, 'B', 1)).code).toBe('bad-request');
  });

  test('of endless fields is given up at the bound, at once', () => {
    const many = Buffer.from(part('a', '').repeat(200_000));
    const startedMs = performance.now();
    expect(refusal(() => readMultipart(many, 'B', 22)).message).toContain('more than 22');
    // Reading them all takes seconds.
    expect(performance.now() - startedMs).toBeLessThan(100);
  });
});

describe('its Content-Type', () => {
  test.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data ;charset=utf-8; BOUNDARY="a b=c"; x=y', 'a b=c'],
    [`multipart/form-data; boundary=${'a'.repeat(70)}`, 'a'.repeat(70)],
  ])('%s', (type, boundary) => expect(boundaryOf(type)).toBe(boundary));

  test.each([undefined, '', 'application/json', 'multipart/mixed; boundary=a', 'multipart/form-datax; boundary=a'])(
    '%s is another one',
    (type) => expect(refusal(() => boundaryOf(type)).code).toBe('unsupported-media-type'),
  );

  test.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    'multipart/form-data; boundary="a "',
    `multipart/form-data; boundary=${'a'.repeat(71)}`,
    'multipart/form-data; boundary=a\u0000b',
  ])('%j names no boundary', (type) => expect(refusal(() => boundaryOf(type)).code).toBe('bad-request'));
});
