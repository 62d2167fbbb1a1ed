//! Inputs that are nearly right: seeds with a few changes of the kinds that readers trip over.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Longest input.
const LONGEST: usize = 256 << 10;
/// Longest range that is cut out or repeated.
const RANGE: usize = 512;
/// Numbers at the edges of what readers count with, as they stand in text.
const NUMBERS: [&[u8]; 14] = [
    b"0",
    b"-1",
    b"1",
    b"255",
    b"65536",
    b"2147483647",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"18446744073709551615",
    b"99999999999999999999999",
    b"1e400",
    b"-0.0",
    b"nan",
];

/// An input made of `seeds` (at least one) and the `words` of the format.
pub fn mutated(rng: &mut ChaCha8Rng, seeds: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    if rng.random_ratio(1, 64) {
        let length = rng.random_range(0..200);
        return noise(rng, length);
    }
    let mut input = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..1 << rng.random_range(0..5) {
        change(rng, &mut input, seeds, words);
        input.truncate(LONGEST);
    }
    input
}

fn change(rng: &mut ChaCha8Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&[u8]]) {
    let at = rng.random_range(0..=input.len());
    let end = input.len().min(at + 1 + rng.random_range(0..RANGE) / (1 << rng.random_range(0..9)));
    match rng.random_range(0..11) {
        0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
        1 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'\r', b'\t'][rng.random_range(0..8)],
        2 => drop(input.drain(at..end)),
        3 => {
            let times = 1 << rng.random_range(0..8);
            let repeated = input[at..end].repeat(times);
            input.splice(at..at, repeated);
        }
        4 | 5 if !words.is_empty() => {
            let word = words[rng.random_range(0..words.len())];
            let over = if rng.random() { at } else { input.len().min(at + word.len()) };
            input.splice(at..over, word.iter().copied());
        }
        6 => {
            let other = &seeds[rng.random_range(0..seeds.len())];
            input.truncate(at);
            input.extend(&other[rng.random_range(0..=other.len())..]);
        }
        7 if rng.random_ratio(1, 4) => input.truncate(at),
        8 => exchange_number(rng, input, at),
        9 => {
            let width = 1 << rng.random_range(0..4);
            let number = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 31, 1 << 40, input.len() as u64][rng.random_range(0..7)];
            let number = number.wrapping_add(rng.random_range(0..3)).wrapping_sub(1).to_le_bytes();
            for (byte, new) in input[at..].iter_mut().zip(&number[..width]) {
                *byte = *new;
            }
        }
        _ => {
            let length = rng.random_range(0..8);
            let bytes = noise(rng, length);
            input.splice(at..at, bytes);
        }
    }
}

/// The first run of digits behind `at` becomes another number.
fn exchange_number(rng: &mut ChaCha8Rng, input: &mut Vec<u8>, at: usize) {
    let Some(first) = (at..input.len()).find(|&i| input[i].is_ascii_digit()) else { return };
    let end = (first..input.len()).find(|&i| !input[i].is_ascii_digit()).unwrap_or(input.len());
    input.splice(first..end, NUMBERS[rng.random_range(0..NUMBERS.len())].iter().copied());
}

fn noise(rng: &mut ChaCha8Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.random()).collect()
}
