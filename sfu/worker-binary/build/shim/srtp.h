// mediasoup speaks the API of libsrtp 3: an opaque policy object, and protect/unprotect from one buffer into another.
// Debian 12 has libsrtp 2.5: a plain policy struct, and everything in place. This maps the one onto the other.
#pragma once

#define srtp_policy_t srtp2_policy_struct_t
#include <srtp2/srtp.h>
#undef srtp_policy_t

#include <climits>
#include <cstring>
#include <vector>

struct ms_srtp_policy
{
	srtp2_policy_struct_t p;
	// libsrtp 2 borrows the key until the session is made.
	std::vector<uint8_t> key;
};
typedef ms_srtp_policy* srtp_policy_t;

// Statuses that libsrtp 2.5 does not know. mediasoup only names them.
#define srtp_err_status_buffer_small static_cast<srtp_err_status_t>(1000)
#define srtp_err_status_cryptex_err static_cast<srtp_err_status_t>(1001)

static inline srtp_err_status_t srtp_policy_create(srtp_policy_t* out)
{
	*out = new ms_srtp_policy();
	std::memset(&(*out)->p, 0, sizeof((*out)->p));

	return srtp_err_status_ok;
}

static inline void srtp_policy_destroy(srtp_policy_t policy)
{
	delete policy;
}

static inline srtp_err_status_t srtp_policy_set_ssrc(srtp_policy_t policy, srtp_ssrc_t ssrc)
{
	policy->p.ssrc = ssrc;

	return srtp_err_status_ok;
}

static inline srtp_err_status_t srtp_policy_set_profile(srtp_policy_t policy, srtp_profile_t profile)
{
	auto* rtp  = &policy->p.rtp;
	auto* rtcp = &policy->p.rtcp;

	switch (static_cast<int>(profile))
	{
		case srtp_profile_aead_aes_256_gcm:
			srtp_crypto_policy_set_aes_gcm_256_16_auth(rtp);
			srtp_crypto_policy_set_aes_gcm_256_16_auth(rtcp);
			break;

		case srtp_profile_aead_aes_128_gcm:
			srtp_crypto_policy_set_aes_gcm_128_16_auth(rtp);
			srtp_crypto_policy_set_aes_gcm_128_16_auth(rtcp);
			break;

		case srtp_profile_aes128_cm_sha1_80:
			srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(rtp);
			srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(rtcp);
			break;

		case srtp_profile_aes128_cm_sha1_32:
			// RFC 5764 §4.1.2: the short tag is for RTP alone, RTCP keeps 80 bits.
			srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(rtp);
			srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(rtcp);
			break;

		default:
			return srtp_err_status_bad_param;
	}

	return srtp_err_status_ok;
}

static inline srtp_err_status_t srtp_policy_add_key(
  srtp_policy_t policy,
  const uint8_t* key,
  size_t keyLen,
  const uint8_t* salt,
  size_t saltLen,
  const uint8_t* /*mki*/,
  size_t /*mkiLen*/)
{
	policy->key.assign(key, key + keyLen);
	policy->key.insert(policy->key.end(), salt, salt + saltLen);
	policy->p.key = policy->key.data();

	return srtp_err_status_ok;
}

static inline srtp_err_status_t srtp_policy_set_allow_repeat_tx(srtp_policy_t policy, bool allow)
{
	policy->p.allow_repeat_tx = allow ? 1 : 0;

	return srtp_err_status_ok;
}

static inline srtp_err_status_t srtp_policy_set_window_size(srtp_policy_t policy, size_t size)
{
	policy->p.window_size = size;

	return srtp_err_status_ok;
}

static inline srtp_err_status_t ms_srtp_create(srtp_t* session, srtp_policy_t policy)
{
	return srtp_create(session, &policy->p);
}

// `outLen` holds the room in `out` on the way in, what was written on the way out. `room` is what the call may add.
static inline srtp_err_status_t ms_srtp_in_place(
  srtp_err_status_t (*call)(srtp_t, void*, int*),
  srtp_t session,
  const uint8_t* in,
  size_t inLen,
  uint8_t* out,
  size_t* outLen,
  size_t room)
{
	if (inLen > INT_MAX - room || inLen + room > *outLen)
	{
		return srtp_err_status_buffer_small;
	}
	if (in != out)
	{
		std::memmove(out, in, inLen);
	}

	int len    = static_cast<int>(inLen);
	auto error = call(session, out, &len);

	*outLen = static_cast<size_t>(len);

	return error;
}

static inline srtp_err_status_t ms_srtp_protect(
  srtp_t session, const uint8_t* in, size_t inLen, uint8_t* out, size_t* outLen, size_t /*mkiIndex*/)
{
	return ms_srtp_in_place(srtp_protect, session, in, inLen, out, outLen, SRTP_MAX_TRAILER_LEN);
}

static inline srtp_err_status_t ms_srtp_unprotect(
  srtp_t session, const uint8_t* in, size_t inLen, uint8_t* out, size_t* outLen)
{
	return ms_srtp_in_place(srtp_unprotect, session, in, inLen, out, outLen, 0);
}

static inline srtp_err_status_t ms_srtp_protect_rtcp(
  srtp_t session, const uint8_t* in, size_t inLen, uint8_t* out, size_t* outLen, size_t /*mkiIndex*/)
{
	// SRTCP adds the E flag and the index before the tag (RFC 3711 §3.4): 4 bytes more.
	return ms_srtp_in_place(srtp_protect_rtcp, session, in, inLen, out, outLen, SRTP_MAX_TRAILER_LEN + 4);
}

static inline srtp_err_status_t ms_srtp_unprotect_rtcp(
  srtp_t session, const uint8_t* in, size_t inLen, uint8_t* out, size_t* outLen)
{
	return ms_srtp_in_place(srtp_unprotect_rtcp, session, in, inLen, out, outLen, 0);
}

static inline srtp_err_status_t srtp_stream_remove(srtp_t session, uint32_t ssrc)
{
	return srtp_remove_stream(session, ssrc);
}

#define srtp_create ms_srtp_create
#define srtp_protect ms_srtp_protect
#define srtp_unprotect ms_srtp_unprotect
#define srtp_protect_rtcp ms_srtp_protect_rtcp
#define srtp_unprotect_rtcp ms_srtp_unprotect_rtcp
