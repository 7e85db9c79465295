//! Damaged messages: every bit flipped, every length, and what stands behind the end.

use shared_proto::Refusal;

use crate::plan::check;
use crate::sample::{self, header_mut};

fn is_refused(bytes: &[u8]) -> Refusal {
    check(bytes).err().unwrap_or_else(|| panic!("{} bytes were accepted", bytes.len()))
}

#[test]
fn every_flipped_bit_is_refused_or_means_what_it_says() {
    let mut bytes = sample::full();
    let mut accepted_count = 0;
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        accepted_count += usize::from(check(&bytes).is_ok());
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // Letters of strings and bits of free numbers, which a decoder cannot tell from others.
    assert!(accepted_count > 1000, "{accepted_count}");
    assert!(check(&bytes).is_ok());
}

#[test]
fn every_byte_replaced_is_refused_or_means_what_it_says() {
    let mut bytes = sample::full();
    let (mut accepted_count, mut refused_count) = (0, 0);
    for index in 0..bytes.len() {
        let before = bytes[index];
        for value in [0, 1, b'/', 0x7f, 0x80, 0xff].into_iter().filter(|value| *value != before) {
            bytes[index] = value;
            // `check` sees to it that what is accepted means what it says.
            match check(&bytes) {
                Ok(_) => accepted_count += 1,
                Err(_) => refused_count += 1,
            }
        }
        bytes[index] = before;
    }
    assert!(accepted_count > 1000 && refused_count > 10_000, "{accepted_count} {refused_count}");
}

#[test]
fn truncated_at_every_length_is_refused() {
    let bytes = sample::full();
    for length in 0..bytes.len() {
        let mut short = bytes[..length].to_vec();
        let expected = if length < 84 { Refusal::Truncated } else { Refusal::MessageBytes };
        assert_eq!(is_refused(&short), expected, "{length} bytes");
        if length < 84 {
            continue;
        }
        // A liar: the header claims the shorter length, then also the shorter text.
        header_mut(&mut short).message_bytes.set(length as u32);
        assert!(matches!(is_refused(&short), Refusal::Truncated | Refusal::MessageBytes), "{length} bytes");
        let lost = (bytes.len() - length) as u32;
        let text_bytes = header_mut(&mut short).text_bytes.get();
        if let Some(text_bytes) = text_bytes.checked_sub(lost) {
            header_mut(&mut short).text_bytes.set(text_bytes);
            assert_eq!(is_refused(&short), Refusal::Text, "{length} bytes");
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for trailing in [&b"\0"[..], b"x", b"x\0", &[0; 80], &[0xff; 4096]] {
        let mut bytes = sample::full();
        bytes.extend_from_slice(trailing);
        assert_eq!(is_refused(&bytes), Refusal::MessageBytes);
        let all = bytes.len() as u32;
        header_mut(&mut bytes).message_bytes.set(all);
        assert_eq!(is_refused(&bytes), Refusal::MessageBytes);
        header_mut(&mut bytes).text_bytes += trailing.len() as u32;
        assert_eq!(is_refused(&bytes), Refusal::Text);
    }
}

#[test]
fn claimed_counts_beyond_the_message_are_refused() {
    let full = sample::full();
    for (claimed, of_steps, of_texts) in [
        (sample::STEP_COUNT as u32 + 1, Refusal::MessageBytes, Refusal::MessageBytes),
        (4096, Refusal::Truncated, Refusal::Truncated),
        (u32::MAX, Refusal::TooManySteps, Refusal::TooManyArguments),
    ] {
        let mut bytes = full.clone();
        header_mut(&mut bytes).step_count.set(claimed);
        assert_eq!(is_refused(&bytes), of_steps, "{claimed} steps");
        let mut bytes = full.clone();
        header_mut(&mut bytes).argument_count.set(claimed);
        assert_eq!(is_refused(&bytes), of_texts, "{claimed} arguments");
        let mut bytes = full.clone();
        header_mut(&mut bytes).environment_count.set(claimed);
        assert_eq!(is_refused(&bytes), of_texts, "{claimed} entries of the environment");
    }
}
