// Stands in for ankerl::unordered_dense, which Debian 12 does not have: the same containers, by the standard library's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace ankerl
{
	namespace unordered_dense
	{
		template<typename T, typename = void>
		struct hash : std::hash<T>
		{
		};

		template<class K, class V, class H = hash<K>, class E = std::equal_to<K>>
		using map = std::unordered_map<K, V, H, E>;

		template<class K, class H = hash<K>, class E = std::equal_to<K>>
		using set = std::unordered_set<K, H, E>;

		namespace detail
		{
			namespace wyhash
			{
				// The finaliser of MurmurHash3 (Austin Appleby, public domain): spreads an integer over all 64 bits.
				inline uint64_t hash(uint64_t x)
				{
					x ^= x >> 33;
					x *= 0xff51afd7ed558ccdULL;
					x ^= x >> 33;
					x *= 0xc4ceb9fe1a85ec53ULL;
					x ^= x >> 33;

					return x;
				}
			} // namespace wyhash
		} // namespace detail
	} // namespace unordered_dense
} // namespace ankerl
