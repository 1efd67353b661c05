import { createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { makeDataKey, SealError, Vault } from '../../../gateway/secrets/vault.ts';

const bytes = randomBytes(32);
const vault = new Vault(createSecretKey(bytes));
const plain = Buffer.from('who is who');

describe('a vault', () => {
  test.each([0, 1, 100_000])('opens what it sealed, %i bytes', (length) => {
    const data = randomBytes(length);
    expect(Buffer.from(vault.open(vault.seal(data, 'a'), 'a'))).toEqual(data);
  });

  test('seals by AES-256-GCM: version, nonce, ciphertext, tag, the context authenticated', () => {
    const sealed = vault.seal(plain, 'name:1');
    expect(sealed[0]).toBe(1);
    const decipher = createDecipheriv('aes-256-gcm', bytes, sealed.subarray(1, 13), { authTagLength: 16 });
    decipher.setAAD(Buffer.from('1 name:1'));
    decipher.setAuthTag(sealed.subarray(-16));
    expect(Buffer.concat([decipher.update(sealed.subarray(13, -16)), decipher.final()])).toEqual(plain);
  });

  test('never seals twice alike', () => {
    const nonces = new Set(
      Array.from({ length: 1000 }, () => Buffer.from(vault.seal(plain, 'a')).toString('hex', 1, 13)),
    );
    expect(nonces.size).toBe(1000);
  });

  test('opens nothing of which one bit was changed, nor a part of it, nor more', () => {
    const sealed = vault.seal(plain, 'a');
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Uint8Array.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => vault.open(changed, 'a'), `bit ${bit}`).toThrow(SealError);
    }
    for (let end = 0; end < sealed.length; end++) {
      expect(() => vault.open(sealed.subarray(0, end), 'a'), `${end} bytes`).toThrow(SealError);
    }
    expect(() => vault.open(Buffer.concat([sealed, Uint8Array.of(0)]), 'a')).toThrow(SealError);
  });

  test('opens nothing for another context or with another key, and says nothing of either', () => {
    const sealed = vault.seal(plain, 'name:1');
    const wrong = [() => vault.open(sealed, 'name:2'), () => makeDataKey().vault.open(sealed, 'name:1')];
    for (const open of wrong) {
      expect(open).toThrow(SealError);
      expect(inspect(catching(open))).not.toMatch(/name:1|who is who/);
    }
  });

  test('takes keys of 32 bytes alone, and shows none', () => {
    expect(() => new Vault(createSecretKey(randomBytes(16)))).toThrow(RangeError);
    const shown = inspect(vault, { showHidden: true, depth: 9 });
    for (const encoding of ['hex', 'base64'] as const) expect(shown).not.toContain(bytes.toString(encoding));
  });
});

function catching(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
