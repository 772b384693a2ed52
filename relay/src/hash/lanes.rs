//! SHA-1 and SHA-256 of several messages at once, one 64-byte block of each in turn.
//!
//! The SHA instructions of x86 take six cycles each and depend on the one before, but a core begins one every two: two messages in one
//! thread take little longer than one. Where the instructions are missing, the messages are hashed one after the other.
//!
//! Invariant: the results are those of the crates `sha1` and `sha2`, whatever the processor.

/// Bytes that are hashed as one.
pub(super) type Block = [u8; 64];

/// What SHA-1 has made of the blocks so far.
pub(super) type Sha1 = [u32; 5];

/// The same for SHA-256.
pub(super) type Sha256 = [u32; 8];

/// SHA-1 before the first block (FIPS 180-4, 5.3.1).
pub(super) const SHA1: Sha1 = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// SHA-256 before the first block (FIPS 180-4, 5.3.3).
pub(super) const SHA256: Sha256 = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Takes blocks into each of the states; what one message has more than the others comes last.
pub(super) fn sha1<const N: usize>(states: &mut [Sha1; N], mut messages: [&[Block]; N]) {
    #[cfg(target_arch = "x86_64")]
    if has_instructions() {
        let (together, rest) = split(messages);
        // SAFETY: the processor was asked for every feature that this function enables; nothing else about it is unsafe.
        #[allow(unsafe_code)]
        unsafe {
            x86::sha1(states, together);
        }
        messages = rest;
    }
    for (state, blocks) in states.iter_mut().zip(messages) {
        ::sha1::block_api::compress(state, blocks);
    }
}

/// The same for SHA-256.
pub(super) fn sha256<const N: usize>(states: &mut [Sha256; N], mut messages: [&[Block]; N]) {
    #[cfg(target_arch = "x86_64")]
    if has_instructions() {
        let (together, rest) = split(messages);
        // SAFETY: as above.
        #[allow(unsafe_code)]
        unsafe {
            x86::sha256(states, together);
        }
        messages = rest;
    }
    for (state, blocks) in states.iter_mut().zip(messages) {
        ::sha2::block_api::compress256(state, blocks);
    }
}

/// The blocks before the end of the shortest message, and those after it.
#[cfg(target_arch = "x86_64")]
fn split<const N: usize>(messages: [&[Block]; N]) -> ([&[Block]; N], [&[Block]; N]) {
    let shortest = messages.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    (
        messages.map(|blocks| &blocks[..shortest]),
        messages.map(|blocks| &blocks[shortest..]),
    )
}

/// Whether the processor has the instructions; it is asked once.
#[cfg(target_arch = "x86_64")]
fn has_instructions() -> bool {
    use std::is_x86_feature_detected as has;
    has!("sha") && has!("ssse3") && has!("sse4.1")
}

/// The instructions, as Intel's manual (volume 1, "SHA extensions") has them used; `[_; N]` is one of each message.
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::needless_range_loop,
    reason = "one number counts the lanes of several arrays"
)]
mod x86 {
    use super::{Block, Sha1, Sha256};
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_sha1msg1_epu32,
        _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32,
        _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_xor_si128,
    };
    use std::array::from_fn;

    /// The constants of SHA-256's rounds (FIPS 180-4, 4.2.2), four rounds each.
    const K: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    /// Four rounds of SHA-1 with the message words `w[$at]`, by the function and constant `$kind`; words four groups on take their place.
    macro_rules! rounds {
        ($kind:literal, $at:literal, $now:ident, $before:ident, $w:ident) => {
            for lane in 0..N {
                let added = _mm_sha1nexte_epu32($before[lane], $w[$at % 4][lane]);
                $before[lane] = $now[lane];
                $now[lane] = _mm_sha1rnds4_epu32::<$kind>($now[lane], added);
            }
            if $at < 16 {
                for lane in 0..N {
                    let half = _mm_sha1msg1_epu32($w[$at % 4][lane], $w[($at + 1) % 4][lane]);
                    let half = _mm_xor_si128(half, $w[($at + 2) % 4][lane]);
                    $w[$at % 4][lane] = _mm_sha1msg2_epu32(half, $w[($at + 3) % 4][lane]);
                }
            }
        };
    }

    /// Takes blocks into each state; all messages have as many.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    pub(super) fn sha1<const N: usize>(states: &mut [Sha1; N], messages: [&[Block]; N]) {
        // The instructions have the first word in the highest place.
        let mut abcd: [__m128i; N] = from_fn(|lane| {
            let [a, b, c, d, _] = states[lane].map(u32::cast_signed);
            _mm_set_epi32(a, b, c, d)
        });
        let mut e: [__m128i; N] = from_fn(|lane| _mm_set_epi32(states[lane][4].cast_signed(), 0, 0, 0));
        for number in 0..messages[0].len() {
            let mut w: [[__m128i; N]; 4] = from_fn(|at| {
                from_fn(|lane| {
                    let mask = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
                    _mm_shuffle_epi8(load(&messages[lane][number], at), mask)
                })
            });
            let (mut now, mut before) = (abcd, abcd);
            for lane in 0..N {
                now[lane] = _mm_sha1rnds4_epu32::<0>(abcd[lane], _mm_add_epi32(e[lane], w[0][lane]));
                let half = _mm_xor_si128(_mm_sha1msg1_epu32(w[0][lane], w[1][lane]), w[2][lane]);
                w[0][lane] = _mm_sha1msg2_epu32(half, w[3][lane]);
            }
            rounds!(0, 1, now, before, w);
            rounds!(0, 2, now, before, w);
            rounds!(0, 3, now, before, w);
            rounds!(0, 4, now, before, w);
            rounds!(1, 5, now, before, w);
            rounds!(1, 6, now, before, w);
            rounds!(1, 7, now, before, w);
            rounds!(1, 8, now, before, w);
            rounds!(1, 9, now, before, w);
            rounds!(2, 10, now, before, w);
            rounds!(2, 11, now, before, w);
            rounds!(2, 12, now, before, w);
            rounds!(2, 13, now, before, w);
            rounds!(2, 14, now, before, w);
            rounds!(3, 15, now, before, w);
            rounds!(3, 16, now, before, w);
            rounds!(3, 17, now, before, w);
            rounds!(3, 18, now, before, w);
            rounds!(3, 19, now, before, w);
            for lane in 0..N {
                abcd[lane] = _mm_add_epi32(abcd[lane], now[lane]);
                e[lane] = _mm_sha1nexte_epu32(before[lane], e[lane]);
            }
        }
        for (lane, state) in states.iter_mut().enumerate() {
            let [d, c, b, a] = words(abcd[lane]);
            *state = [a, b, c, d, words(e[lane])[3]];
        }
    }

    /// The same for SHA-256.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    pub(super) fn sha256<const N: usize>(states: &mut [Sha256; N], messages: [&[Block]; N]) {
        let mut abef: [__m128i; N] = from_fn(|lane| {
            let [a, b, _, _, e, f, ..] = states[lane].map(u32::cast_signed);
            _mm_set_epi32(a, b, e, f)
        });
        let mut cdgh: [__m128i; N] = from_fn(|lane| {
            let [_, _, c, d, _, _, g, h] = states[lane].map(u32::cast_signed);
            _mm_set_epi32(c, d, g, h)
        });
        for number in 0..messages[0].len() {
            let mut w: [[__m128i; N]; 4] = from_fn(|at| {
                from_fn(|lane| {
                    let mask = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
                    _mm_shuffle_epi8(load(&messages[lane][number], at), mask)
                })
            });
            let (mut low, mut high) = (abef, cdgh);
            for (at, k) in K.iter().enumerate() {
                let [k0, k1, k2, k3] = k.map(u32::cast_signed);
                let k = _mm_set_epi32(k3, k2, k1, k0);
                for lane in 0..N {
                    let added = _mm_add_epi32(w[at % 4][lane], k);
                    high[lane] = _mm_sha256rnds2_epu32(high[lane], low[lane], added);
                    low[lane] = _mm_sha256rnds2_epu32(low[lane], high[lane], _mm_shuffle_epi32::<0x0e>(added));
                }
                for lane in 0..N {
                    let half = _mm_sha256msg1_epu32(w[at % 4][lane], w[(at + 1) % 4][lane]);
                    let seven_back = _mm_alignr_epi8::<4>(w[(at + 3) % 4][lane], w[(at + 2) % 4][lane]);
                    w[at % 4][lane] = _mm_sha256msg2_epu32(_mm_add_epi32(half, seven_back), w[(at + 3) % 4][lane]);
                }
            }
            for lane in 0..N {
                abef[lane] = _mm_add_epi32(abef[lane], low[lane]);
                cdgh[lane] = _mm_add_epi32(cdgh[lane], high[lane]);
            }
        }
        for (lane, state) in states.iter_mut().enumerate() {
            let ([f, e, b, a], [h, g, d, c]) = (words(abef[lane]), words(cdgh[lane]));
            *state = [a, b, c, d, e, f, g, h];
        }
    }

    /// The `at`th 16 bytes of a block, as they lie in memory.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(block: &Block, at: usize) -> __m128i {
        let (halves, _) = block.as_chunks::<8>();
        let half = |number: usize| i64::from_le_bytes(halves[number]);
        _mm_set_epi64x(half(2 * at + 1), half(2 * at))
    }

    /// The words of a vector, the lowest first.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn words(vector: __m128i) -> [u32; 4] {
        [
            _mm_extract_epi32::<0>(vector),
            _mm_extract_epi32::<1>(vector),
            _mm_extract_epi32::<2>(vector),
            _mm_extract_epi32::<3>(vector),
        ]
        .map(i32::cast_unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many blocks that differ from each other.
    fn blocks(seed: u32, count: u32) -> Vec<Block> {
        let byte = |block: u32, at: usize| ((block + seed).wrapping_mul(2_654_435_761) >> (at % 25)) as u8 ^ at as u8;
        (0..count)
            .map(|block| std::array::from_fn(|at| byte(block, at)))
            .collect()
    }

    #[test]
    fn messages_of_any_lengths_give_what_the_crates_give() {
        for (one, other) in [(0, 0), (0, 3), (1, 1), (5, 2), (64, 64), (7, 90)] {
            let (one, other) = (blocks(1, one), blocks(200, other));
            let (mut sha1s, mut sha256s) = ([SHA1; 2], [SHA256; 2]);
            // In two parts, so that a state is taken up again.
            for half in [0, 1] {
                let part = |message: &[Block]| match half {
                    0 => message[..message.len() / 2].to_vec(),
                    _ => message[message.len() / 2..].to_vec(),
                };
                let (one, other) = (part(&one), part(&other));
                sha1(&mut sha1s, [&one, &other]);
                sha256(&mut sha256s, [&one, &other]);
            }
            for (lane, message) in [&one, &other].into_iter().enumerate() {
                let (mut expected, mut expected256) = (SHA1, SHA256);
                ::sha1::block_api::compress(&mut expected, message);
                ::sha2::block_api::compress256(&mut expected256, message);
                assert_eq!(sha1s[lane], expected, "{} {}", one.len(), other.len());
                assert_eq!(sha256s[lane], expected256, "{} {}", one.len(), other.len());
            }
        }
    }
}
