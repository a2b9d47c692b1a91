//! Short decimal digits of a double, by Grisu2.
//!
//! Source: Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with
//! Integers" (PLDI 2010). The digits read back to the same double. They are the shortest that do
//! for all but a few in a thousand doubles, and there Redis's are not the shortest either: it
//! prints by this algorithm, and to print the same digits we do as well.

/// `bits` times 2 to the `exponent`.
#[derive(Clone, Copy, Debug)]
struct Scaled {
    bits: u64,
    exponent: i32,
}

impl Scaled {
    /// The product, rounded to 64 bits.
    fn times(self, other: Self) -> Self {
        let product = u128::from(self.bits) * u128::from(other.bits) + (1 << 63);
        Self { bits: (product >> 64) as u64, exponent: self.exponent + other.exponent + 64 }
    }

    /// The same number with the highest bit set.
    fn normal(self) -> Self {
        let shift = self.bits.leading_zeros();
        Self { bits: self.bits << shift, exponent: self.exponent - shift.cast_signed() }
    }
}

/// Digits of a number, and the power of ten of the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    text: [u8; DIGITS_MAX],
    len: usize,
    place: i32,
}

/// A double has 17 digits at most, and one more while they are made.
const DIGITS_MAX: usize = 18;

impl Digits {
    /// The digits of a number that is positive and finite.
    pub(super) fn of(value: f64) -> Self {
        const FRACTION_BITS: u32 = 52;
        const HIDDEN: u64 = 1 << FRACTION_BITS;
        let (fraction, biased) = (value.to_bits() % HIDDEN, value.to_bits() >> FRACTION_BITS);
        let exact = match biased {
            0 => Scaled { bits: fraction, exponent: -1074 },
            _ => Scaled { bits: fraction | HIDDEN, exponent: biased as i32 - 1075 },
        };
        // Half way to the neighbours; below a power of two the neighbour is nearer.
        let above = Scaled { bits: exact.bits * 2 + 1, exponent: exact.exponent - 1 }.normal();
        let nearer = if exact.bits == HIDDEN { 2 } else { 1 };
        let below = (exact.bits << nearer) - 1;
        let below = below << (exact.exponent - nearer - above.exponent);
        let (power, ten) = cached_power(above.exponent);
        let exact = exact.normal().times(power);
        let mut above = above.times(power);
        let mut below = Scaled { bits: below, exponent: above.exponent }.times(power);
        // The products may be off by one; what lies between them now is surely inside.
        above.bits -= 1;
        below.bits += 1;
        let mut digits = Self { text: [0; DIGITS_MAX], len: 0, place: -ten };
        digits.generate(above, above.bits - exact.bits, above.bits - below.bits);
        digits
    }

    /// The digits, the first of them not 0.
    pub(super) fn text(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// The power of ten of the first digit.
    pub(super) fn exponent(&self) -> i32 {
        self.place + self.len as i32 - 1
    }

    fn push(&mut self, digit: u64) {
        if digit > 0 || self.len > 0 {
            self.text[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }

    /// Makes digits of `above` until what is left out is less than `room`; `target` is how far
    /// below it the number itself lies.
    fn generate(&mut self, above: Scaled, target: u64, mut room: u64) {
        let shift = above.exponent.unsigned_abs();
        let one = 1_u64 << shift;
        let (mut whole, mut part) = (above.bits >> shift, above.bits & (one - 1));
        let mut unit = 1_000_000_000;
        for place in (0..10).rev() {
            self.push(whole / unit);
            whole %= unit;
            let rest = (whole << shift) + part;
            if rest <= room {
                self.place += place;
                return self.settle(room, rest, unit << shift, target);
            }
            unit /= 10;
        }
        let mut scale = 1_u64;
        loop {
            part *= 10;
            room *= 10;
            scale = scale.wrapping_mul(10);
            self.place -= 1;
            self.push(part >> shift);
            part &= one - 1;
            if part < room {
                return self.settle(room, part, one, target.wrapping_mul(scale));
            }
        }
    }

    /// Lowers the last digit as long as that comes nearer to the number and stays inside.
    fn settle(&mut self, room: u64, mut rest: u64, unit: u64, target: u64) {
        while rest < target
            && room - rest >= unit
            && (rest + unit < target || target - rest > rest + unit - target)
        {
            self.text[self.len - 1] -= 1;
            rest += unit;
        }
    }
}

/// Every eighth power of ten, from this one on.
const TEN_MIN: i32 = -348;
const TEN_STEP: i32 = 8;
const POWERS: usize = 87;

/// A power of ten that brings a number of this exponent to one between -60 and -32, and its
/// exponent of ten.
fn cached_power(exponent: i32) -> (Scaled, i32) {
    const LOG_2: f64 = std::f64::consts::LOG10_2;
    let guess = (-f64::from(exponent + POWERS as i32) * LOG_2) as i32;
    let mut index = ((guess - TEN_MIN) / TEN_STEP) as usize;
    loop {
        let power = TENS[index];
        match exponent + power.exponent + 64 {
            ..-60 => index += 1,
            -31.. => index -= 1,
            _ => return (power, TEN_MIN + index as i32 * TEN_STEP),
        }
    }
}

/// The powers, rounded to 64 bits; made by the compiler.
static TENS: [Scaled; POWERS] = tens();

/// Words of a number while the powers are made: 5^340 has 790 bits, and as many as 5^348 has must
/// stay beside the 128 that a rounding looks at.
const WORDS: usize = 16;

const fn tens() -> [Scaled; POWERS] {
    const FIVES: u64 = 5_u64.pow(TEN_STEP as u32);
    const FIRST: u64 = 5_u64.pow(4);
    let zero = Scaled { bits: 0, exponent: 0 };
    let mut tens = [zero; POWERS];
    // 10^n is 5^n times 2^n. Upwards from 10^4 ...
    let middle = POWERS / 2 + 1;
    let mut number = [0; WORDS];
    number[0] = FIRST;
    let (mut index, mut ten) = (middle, 4);
    while index < POWERS {
        tens[index] = rounded(&number, ten);
        number = multiplied(number, FIVES);
        index += 1;
        ten += TEN_STEP;
    }
    // ... and downwards from 10^-4, as parts of 2^1023.
    let mut number = [0; WORDS];
    number[WORDS - 1] = 1 << 63;
    number = divided(number, FIRST);
    let (mut index, mut ten) = (middle, -4);
    while index > 0 {
        index -= 1;
        tens[index] = rounded(&number, ten - 1023);
        number = divided(number, FIVES);
        ten -= TEN_STEP;
    }
    tens
}

const fn multiplied(mut number: [u64; WORDS], by: u64) -> [u64; WORDS] {
    let (mut word, mut carry) = (0, 0);
    while word < WORDS {
        let product = number[word] as u128 * by as u128 + carry;
        number[word] = product as u64;
        carry = product >> 64;
        word += 1;
    }
    number
}

const fn divided(mut number: [u64; WORDS], by: u64) -> [u64; WORDS] {
    let (mut word, mut rest) = (WORDS, 0);
    while word > 0 {
        word -= 1;
        let part = (rest << 64) | number[word] as u128;
        number[word] = (part / by as u128) as u64;
        rest = part % by as u128;
    }
    number
}

/// `number` times 2 to the `exponent`, to the nearest 64 bits.
const fn rounded(number: &[u64; WORDS], exponent: i32) -> Scaled {
    let mut top = WORDS - 1;
    while number[top] == 0 {
        top -= 1;
    }
    let below = if top > 0 { number[top - 1] } else { 0 };
    let last = if top > 1 { number[top - 2] } else { 0 };
    let shift = number[top].leading_zeros();
    let pair = ((number[top] as u128) << 64 | below as u128) << shift;
    let pair = if shift > 0 { pair | (last >> (64 - shift)) as u128 } else { pair };
    let bits = (pair >> 64) as u64 + (pair >> 63 & 1) as u64;
    Scaled { bits, exponent: exponent + top as i32 * 64 - shift as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_read_back() {
        let mut state = 1_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = f64::from_bits((state ^ (state >> 29)) & (u64::MAX >> 1));
            if value > 0.0 && value.is_finite() {
                let digits = Digits::of(value);
                let text = std::str::from_utf8(digits.text()).unwrap();
                let place = digits.exponent() - digits.text().len() as i32 + 1;
                assert_eq!(format!("{text}e{place}").parse(), Ok(value), "{value:e}");
            }
        }
    }

    #[test]
    fn digits_at_the_edges() {
        for (value, text, exponent) in [
            (5e-324, "5", -324),
            (2.225_073_858_507_201_4e-308, "22250738585072014", -308),
            (f64::MAX, "17976931348623157", 308),
            (1.0, "1", 0),
            (0.1, "1", -1),
            (9.5, "95", 0),
            // Not the shortest.
            (5.000_303_1e19, "50003031000000004", 19),
            (7.474_909_174_578_102, "74749091745781016", 0),
        ] {
            let digits = Digits::of(value);
            let found = (std::str::from_utf8(digits.text()).unwrap(), digits.exponent());
            assert_eq!(found, (text, exponent), "{value:e}");
        }
    }

    #[test]
    fn powers_of_ten() {
        let first = TENS[0];
        assert_eq!((first.bits, first.exponent), (0xfa8f_d5a0_081c_0288, -1220));
        let four = TENS[POWERS / 2 + 1];
        assert_eq!((four.bits, four.exponent), (10_000 << 50, -50));
    }
}
