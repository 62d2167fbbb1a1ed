//! Numbers of eight bits.

use bytemuck::{Pod, Zeroable};

use super::Element;

/// A number of eight bits, four of exponent and three of fraction (OCP 8-bit floating point, e4m3): from 2⁻⁹ to 448, no
/// infinities, NaN is `0x7f` and `0xff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct E4m3(pub u8);

impl Element for E4m3 {
    const NAME: &'static str = "f8_e4m3";
}

/// Rows whose largest number is below this are rows of zeros: its inverse would not be finite.
const NOTHING: f32 = 1e-30;

impl E4m3 {
    /// The largest number.
    pub const LARGEST: f32 = 448.0;

    /// The nearest number, the even one of two; what is beyond the largest becomes the largest.
    #[must_use]
    pub fn rounded(x: f32) -> Self {
        let (bits, size) = (x.to_bits(), x.abs());
        let sign = (bits >> 24) as u8 & 0x80;
        Self(if x.is_nan() {
            sign | 0x7f
        } else if size >= Self::LARGEST {
            sign | 0x7e
        } else if size < 0.015_625 {
            // Eight times the least step is the least normal number.
            sign | (size * 512.0).round_ties_even() as u8
        } else {
            let magnitude = bits & 0x7fff_ffff;
            let rounded = magnitude + 0x7_ffff + (magnitude >> 20 & 1);
            sign | ((rounded >> 20) - (120 << 3)) as u8
        })
    }

    /// The same number in f32.
    #[must_use]
    pub fn to_f32(self) -> f32 {
        let (exponent, fraction) = (u32::from(self.0) >> 3 & 15, u32::from(self.0) & 7);
        let sign = (u32::from(self.0) & 0x80) << 24;
        let size = match (exponent, fraction) {
            (15, 7) => f32::NAN.to_bits(),
            (0, fraction) => (fraction as f32 / 512.0).to_bits(),
            _ => (exponent + 120) << 23 | fraction << 20,
        };
        f32::from_bits(sign | size)
    }

    /// Writes `448·row / max |row|`, and returns the scale `max |row| / 448` that leads back: 1 of zeros, NaN where the row
    /// has one.
    pub fn quantise(row: &[f32], to: &mut [Self]) -> f32 {
        let larger = |most: f32, x: &f32| if x.abs() > most || x.is_nan() { x.abs() } else { most };
        let most = row.iter().fold(0.0, larger);
        let (raise, scale) = if most < NOTHING { (1.0, 1.0) } else { (Self::LARGEST / most, most / Self::LARGEST) };
        to.iter_mut().zip(row).for_each(|(to, &x)| *to = Self::rounded(x * raise));
        scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_its_own_nearest_and_ties_go_to_even() {
        for byte in 0..=255 {
            let (number, x) = (E4m3(byte), E4m3(byte).to_f32());
            assert!(if byte & 0x7f == 0x7f { x.is_nan() } else { E4m3::rounded(x) == number }, "{byte:#x}: {x}");
        }
        for byte in 0..0x7e {
            let (low, high) = (E4m3(byte).to_f32(), E4m3(byte + 1).to_f32());
            let (middle, even) = (low.midpoint(high), byte + byte % 2);
            assert_eq!(E4m3::rounded(middle), E4m3(even));
            assert_eq!(E4m3::rounded(-middle), E4m3(0x80 | even));
            assert_eq!(E4m3::rounded(middle.next_down()), E4m3(byte));
            assert_eq!(E4m3::rounded(middle.next_up()), E4m3(byte + 1));
        }
        assert_eq!((E4m3(1).to_f32(), E4m3(0x38).to_f32(), E4m3(0x7e).to_f32()), (1.0 / 512.0, 1.0, 448.0));
        assert_eq!(E4m3::rounded(f32::NEG_INFINITY), E4m3(0xfe));
        let bits = [0.0, 1.0, 2.0, 3.0, 7.0, 8.0, -6.0].map(|x| E4m3::rounded(x).0);
        assert_eq!(bits, [0x00, 0x38, 0x40, 0x44, 0x4e, 0x50, 0xcc]);
    }

    #[test]
    fn the_largest_of_a_row_takes_the_largest_number() {
        let mut to = [E4m3::default(); 3];
        assert!((E4m3::quantise(&[0.5, -2.0, 0.0], &mut to) - 2.0 / 448.0).abs() < 1e-9);
        assert_eq!(to.map(E4m3::to_f32), [112.0, -448.0, 0.0]);
        assert!((E4m3::quantise(&[0.0, 0.0, 1e-40], &mut to) - 1.0).abs() < 1e-9);
        assert_eq!(to.map(E4m3::to_f32), [0.0; 3]);
        assert!(E4m3::quantise(&[1.0, f32::NAN, 3.0], &mut to).is_nan());
    }
}
