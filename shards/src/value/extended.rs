//! Floating-point numbers with 64 bits of precision, as INCRBYFLOAT needs them.
//!
//! Redis adds in the `long double` of its compiler, which on x86-64 is the 80-bit extended format
//! (Intel's manual, volume 1, section 4.2.2), and prints 17 digits after the point. To answer the
//! same digits, this does the same: text is rounded once to 64 bits, to even on a tie; a sum is
//! rounded once; printing is exact. No crate in our list has that format, and a double's 53 bits
//! give other digits: 3.0 + 1e-17 and 0.1 + 0.2 show it.

use std::cmp::Ordering;

/// Longest text that is read as a number, in bytes: Redis's own bound.
const TEXT_BYTES_MAX: usize = 5 * 1024;
/// The smallest number is 2^-16445; half of it and less is none.
const EXPONENT_MIN: i64 = -16445;
/// Numbers are below 2^16384.
const EXPONENT_END: i64 = 16384;

/// A number, or one beyond all numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extended {
    negative: bool,
    form: Form,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Zero,
    /// `bits` times 2 to the `exponent`; the highest bit is 1.
    Number {
        bits: u64,
        exponent: i64,
    },
    Infinite,
}

impl Extended {
    /// Zero.
    pub const ZERO: Self = Self { negative: false, form: Form::Zero };

    /// Reads a number as C's `strtold` does: decimal or hexadecimal, with a point and an exponent,
    /// or `inf`. None for other text, for text around the number, for what is not a number, and
    /// for what is too large, or too small not to be zero.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Self { negative, form: Form::Infinite });
        }
        let hexadecimal = matches!(text, [b'0', b'x' | b'X', ..]);
        let form = if hexadecimal { hexadecimal_form(&text[2..]) } else { decimal_form(text) };
        Some(Self { negative, form: form? })
    }

    /// True unless it is beyond all numbers.
    pub fn is_finite(self) -> bool {
        self.form != Form::Infinite
    }

    /// The sum, rounded; none where there is none: infinity less infinity.
    pub fn plus(self, other: Self) -> Option<Self> {
        match (self.form, other.form) {
            (Form::Infinite, Form::Infinite) if self.negative != other.negative => None,
            (Form::Infinite, _) | (_, Form::Zero) => Some(self),
            (_, Form::Infinite) | (Form::Zero, _) => Some(other),
            (
                Form::Number { bits, exponent },
                Form::Number { bits: other_bits, exponent: other_exponent },
            ) => {
                let one = (exponent, bits, self.negative);
                let two = (other_exponent, other_bits, other.negative);
                Some(if (exponent, bits) >= (other_exponent, other_bits) {
                    sum(one, two)
                } else {
                    sum(two, one)
                })
            }
        }
    }

    /// Writes it with up to 17 digits after the point, without zeros at the end.
    pub fn write(self, out: &mut Vec<u8>) {
        let (bits, exponent) = match self.form {
            Form::Zero => return out.push(b'0'),
            Form::Infinite => {
                return out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" });
            }
            Form::Number { bits, exponent } => (bits, exponent),
        };
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        if exponent >= 0 {
            let mut whole = Natural::from(bits);
            whole.shift_left(exponent as usize);
            return whole.write(out);
        }
        // 64 bits times 10^17 are less than 2^121, so one shift says all.
        let scaled = round(u128::from(bits) * TEN_TO_17, exponent.unsigned_abs());
        let (whole, part) = (scaled / TEN_TO_17, scaled % TEN_TO_17);
        out.extend_from_slice(whole.to_string().as_bytes());
        if part > 0 {
            let digits = format!(".{part:017}");
            out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
        }
        if scaled == 0 {
            out.truncate(start);
            out.push(b'0');
        }
    }
}

const TEN_TO_17: u128 = 10u128.pow(17);

/// `value` divided by 2 to the `shift`, rounded to even on a tie.
fn round(value: u128, shift: u64) -> u128 {
    if shift == 0 {
        return value;
    }
    if shift > 127 {
        return 0;
    }
    let (quotient, rest, half) = (value >> shift, value & ((1 << shift) - 1), 1 << (shift - 1));
    match rest.cmp(&half) {
        Ordering::Less => quotient,
        Ordering::Equal => quotient + (quotient & 1),
        Ordering::Greater => quotient + 1,
    }
}

/// `value` times 2 to the `exponent`, rounded to 64 bits. The lowest bits may stand for any bits
/// that were there below, as long as there are two spare ones.
fn rounded(negative: bool, value: u128, exponent: i64) -> Extended {
    if value == 0 {
        return Extended::ZERO;
    }
    let spare = 64 - i64::from(value.leading_zeros());
    let (mut bits, mut exponent) = (value, exponent);
    if spare > 0 {
        bits = round(value, spare as u64);
        exponent += spare;
        if bits >> 64 != 0 {
            bits >>= 1;
            exponent += 1;
        }
    } else {
        bits <<= -spare;
        exponent += spare;
    }
    let form = if exponent + 64 > EXPONENT_END {
        Form::Infinite
    } else {
        Form::Number { bits: bits as u64, exponent }
    };
    Extended { negative, form }
}

/// The sum of two numbers (exponent, bits, negative), the larger first.
fn sum(large: (i64, u64, bool), small: (i64, u64, bool)) -> Extended {
    let distance = large.0 - small.0;
    let (high, low) = (u128::from(large.1) << 62, u128::from(small.1) << 62);
    // What is shifted out leaves a trace in the lowest bit, 61 places below the rounding.
    let low = match distance {
        0..=62 => low >> distance,
        63..=125 => (low >> distance) | u128::from(low & ((1 << distance) - 1) != 0),
        _ => 1,
    };
    let value = if large.2 == small.2 { high + low } else { high - low };
    rounded(large.2, value, large.0 - 62)
}

/// The digits of a number without its point, how many followed the point, and its exponent.
struct Digits {
    digits: Vec<u8>,
    after_point: i64,
    exponent: i64,
}

/// Splits `digits [. digits] [mark [sign] digits]`, the digits as numbers, none of them leading
/// zeros.
fn split(text: &[u8], base: u32, mark: u8) -> Option<Digits> {
    let end = text.iter().position(|byte| byte.to_ascii_lowercase() == mark);
    let (mantissa, exponent) = match end {
        Some(end) => (&text[..end], parse_exponent(&text[end + 1..])?),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|&byte| byte == b'.');
    let after_point = point.map_or(0, |point| mantissa.len() - point - 1) as i64;
    let mut digits = Vec::with_capacity(mantissa.len());
    for (index, &byte) in mantissa.iter().enumerate() {
        if point != Some(index) {
            digits.push(char::from(byte).to_digit(base)? as u8);
        }
    }
    if digits.is_empty() {
        return None;
    }
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    digits.drain(..zeros);
    Some(Digits { digits, after_point, exponent })
}

/// An exponent, held within bounds beyond which all are alike.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits {
        let digit = i64::from(char::from(*digit).to_digit(10)?);
        value = (value * 10 + digit).min(1_000_000);
    }
    Some(if negative { -value } else { value })
}

fn hexadecimal_form(text: &[u8]) -> Option<Form> {
    let Digits { digits, after_point, exponent } = split(text, 16, b'p')?;
    let mut value = Natural::default();
    digits.iter().for_each(|&digit| value.push(16, u64::from(digit)));
    form(&value, &Natural::from(1), exponent - 4 * after_point)
}

fn decimal_form(text: &[u8]) -> Option<Form> {
    let Digits { digits, after_point, exponent } = split(text, 10, b'e')?;
    let ten = exponent - after_point;
    if digits.is_empty() {
        return Some(Form::Zero);
    }
    // The place of the first digit says at once what is far too large or too small.
    let first = ten + digits.len() as i64;
    if !(-4960..=4940).contains(&first) {
        return None;
    }
    let mut value = Natural::default();
    for chunk in digits.chunks(18) {
        let number = chunk.iter().fold(0, |number, &digit| number * 10 + u64::from(digit));
        value.push(10u64.pow(chunk.len() as u32), number);
    }
    // 10^n = 5^n * 2^n, and the 2^n are only an exponent.
    let mut power = Natural::from(1);
    power.times_five_to(ten.unsigned_abs() as u32);
    if ten < 0 {
        return form(&value, &power, ten);
    }
    value.times_five_to(ten as u32);
    form(&value, &Natural::from(1), ten)
}

/// `value / divisor` times 2 to the `exponent`, rounded to 64 bits; none where that is too large,
/// or so small that it rounds to zero.
fn form(value: &Natural, divisor: &Natural, exponent: i64) -> Option<Form> {
    if value.bits() == 0 {
        return Some(Form::Zero);
    }
    // Enough bits for a quotient of 67 or 68: 64, and spare ones to round by.
    let shift = 67 + divisor.bits() as i64 - value.bits() as i64;
    let (mut rest, mut divisor) = (value.clone(), divisor.clone());
    if shift >= 0 {
        rest.shift_left(shift as usize);
    } else {
        divisor.shift_left(shift.unsigned_abs() as usize);
    }
    let quotient = rest.divide(&divisor);
    let sticky = u128::from(rest.bits() > 0);
    let Extended { form, .. } = rounded(false, (quotient << 2) | sticky, exponent - shift - 2);
    match form {
        Form::Number { bits, exponent } => {
            let top = exponent + 63;
            let half_of_least = top == EXPONENT_MIN - 1 && bits == 1 << 63;
            (top >= EXPONENT_MIN - 1 && !half_of_least).then_some(form)
        }
        Form::Zero | Form::Infinite => None,
    }
}

/// A natural number of any size: 32 bits a limb, the lowest first, the highest not 0.
#[derive(Clone, Default)]
struct Natural {
    limbs: Vec<u32>,
}

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        let mut natural = Self { limbs: vec![value as u32, (value >> 32) as u32] };
        natural.trim();
        natural
    }
}

impl Natural {
    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    fn bits(&self) -> usize {
        self.limbs.last().map_or(0, |last| self.limbs.len() * 32 - last.leading_zeros() as usize)
    }

    /// Multiplies by `factor` and adds `term`.
    fn push(&mut self, factor: u64, term: u64) {
        let mut carry = u128::from(term);
        for limb in &mut self.limbs {
            let value = u128::from(*limb) * u128::from(factor) + carry;
            *limb = value as u32;
            carry = value >> 32;
        }
        while carry > 0 {
            self.limbs.push(carry as u32);
            carry >>= 32;
        }
    }

    fn times_five_to(&mut self, power: u32) {
        const STEP: u32 = 27;
        const _: () = assert!(5u64.checked_pow(STEP).is_some());
        for _ in 0..power / STEP {
            self.push(5u64.pow(STEP), 0);
        }
        self.push(5u64.pow(power % STEP), 0);
    }

    fn shift_left(&mut self, count: usize) {
        self.push(1 << (count % 32), 0);
        if !self.limbs.is_empty() {
            self.limbs.splice(0..0, std::iter::repeat_n(0, count / 32));
        }
    }

    fn shift_right_one(&mut self) {
        let mut carry = 0;
        for limb in self.limbs.iter_mut().rev() {
            let next = *limb << 31;
            *limb = (*limb >> 1) | carry;
            carry = next;
        }
        self.trim();
    }

    fn at_least(&self, other: &Self) -> bool {
        let order = self.limbs.len().cmp(&other.limbs.len());
        order.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev())).is_ge()
    }

    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let term = other.limbs.get(index).copied().unwrap_or(0);
            let (value, first) = limb.overflowing_sub(term);
            let (value, second) = value.overflowing_sub(u32::from(borrow));
            (*limb, borrow) = (value, first || second);
        }
        debug_assert!(!borrow, "the smaller is subtracted");
        self.trim();
    }

    /// Leaves the rest of the division by `divisor`, and returns the quotient, which must be below
    /// 2^100. Bit by bit, since a quotient has few.
    fn divide(&mut self, divisor: &Self) -> u128 {
        let steps = (self.bits() + 1).saturating_sub(divisor.bits());
        let mut divisor = divisor.clone();
        divisor.shift_left(steps);
        let mut quotient = 0;
        for _ in 0..=steps {
            quotient <<= 1;
            if self.at_least(&divisor) {
                self.subtract(&divisor);
                quotient |= 1;
            }
            divisor.shift_right_one();
        }
        quotient
    }

    fn write(mut self, out: &mut Vec<u8>) {
        let mut groups = Vec::new();
        while !self.limbs.is_empty() {
            let mut rest: u64 = 0;
            for limb in self.limbs.iter_mut().rev() {
                let value = (rest << 32) | u64::from(*limb);
                *limb = (value / 1_000_000_000) as u32;
                rest = value % 1_000_000_000;
            }
            groups.push(rest);
            self.trim();
        }
        let mut text = String::new();
        for (index, group) in groups.iter().rev().enumerate() {
            text += &if index == 0 { group.to_string() } else { format!("{group:09}") };
        }
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_text(one: &str, two: &str) -> Option<String> {
        let sum = Extended::parse(one.as_bytes())?.plus(Extended::parse(two.as_bytes())?)?;
        let mut out = Vec::new();
        sum.write(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn sums_as_a_real_server_prints_them() {
        for (one, two, sum) in [
            ("0.1", "0.2", "0.3"),
            ("3.0e3", "200", "3200"),
            ("1", "1e-17", "1.00000000000000001"),
            ("10.5", "-5.25", "5.25"),
            ("1", "-1", "0"),
            ("-0.5", "0.5", "0"),
            ("0", "-1e-30", "0"),
            ("5.", ".5", "5.5"),
            ("0x1p3", "0x.8", "8.5"),
            ("1e20", "1", "100000000000000000000"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("18446744073709551616", "1", "18446744073709551616"),
            ("inf", "1", "inf"),
        ] {
            assert_eq!(sum_text(one, two).as_deref(), Some(sum), "{one} + {two}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "",
            "abc",
            "1 ",
            " 1",
            "1.2.3",
            "nan",
            "0x",
            ".",
            "e5",
            "1e",
            "1e+",
            "-",
            "--1",
            "1_0",
            "1e5000",
            "1e-5000",
            "0x1p99999",
            "1e99999999999999999999",
            "-1e-4951",
        ] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text}");
        }
        let long = "0".repeat(5119);
        assert_eq!(Extended::parse(long.as_bytes()), Some(Extended::ZERO));
        assert_eq!(Extended::parse(format!("{long}0").as_bytes()), None);
        assert_eq!(sum_text("inf", "-inf"), None);
        assert!(Extended::parse(b"1e4932").is_some_and(Extended::is_finite));
        assert!(Extended::parse(b"1e-4950").is_some());
    }

    /// Doubles have fewer bits, so a double's text and back is exact through the longer format.
    #[test]
    fn agrees_with_doubles_where_they_are_exact() {
        let mut state: u64 = 7;
        for _ in 0..2000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = (state >> 40) as f64 / 1024.0 - 8000.0;
            let mut out = Vec::new();
            Extended::parse(format!("{value:e}").as_bytes()).unwrap().write(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text, format!("{value}"), "{value:e}");
        }
    }
}
