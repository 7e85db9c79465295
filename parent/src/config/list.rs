//! Lists of numbers as the kernel writes them: `0-3,7`.

/// The numbers of a list, ascending, each once; an empty list has none.
///
/// Errors: what is wrong, for people. `max` is the highest number that may be.
pub fn numbers(text: &str, max: u32) -> Result<Vec<u32>, String> {
    let mut numbers = Vec::new();
    if text.trim().is_empty() {
        return Ok(numbers);
    }
    for part in text.split(',') {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let parsed = is_number.then(|| digits.parse::<u32>().unwrap_or(u32::MAX));
            match parsed {
                None => Err(format!("{part:?} is neither a number nor a range")),
                Some(number) if number > max => Err(format!("{digits} is above {max}")),
                Some(number) => Ok(number),
            }
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("the range {part:?} ends before it begins"));
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn ranges_and_numbers_become_one_ascending_list() {
        assert_eq!(numbers("", 7), Ok(vec![]));
        assert_eq!(numbers("7,0-2,1", 7), Ok(vec![0, 1, 2, 7]));
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_reason() {
        for bad in ["a", "-", "1-", "-1", "1,,2", "1-2-3", "+1", "3-1", "8", "0-8", "99999999999"] {
            assert!(numbers(bad, 7).is_err(), "{bad}");
        }
    }
}
