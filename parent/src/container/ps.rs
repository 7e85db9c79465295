//! The list of a container's processes, for programs and for people.

use std::process::Command;

use crate::error::{Error, Result};

/// `[1,2]`, and for no process `null`, as runc's Go prints it.
pub fn process_list(pids: &[i32]) -> String {
    if pids.is_empty() {
        return String::from("null\n");
    }
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!("[{}]\n", pids.join(","))
}

/// What the host's ps prints of these processes, called with `words` (`-ef` if there are none).
pub fn process_table(pids: &[i32], words: &[String]) -> Result<String> {
    let mut command = Command::new("ps");
    if words.is_empty() {
        command.arg("-ef");
    }
    let output = command.args(words).output().map_err(|error| Error::io("ps", &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(Error::new(format!("ps: {}: {reason}", output.status)));
    }
    rows_of(&text, pids)
}

/// The header, and the lines whose column PID has one of `pids`. The column counts by words: those before it hold no blanks.
fn rows_of(text: &str, pids: &[i32]) -> Result<String> {
    let header = text.lines().next().unwrap_or_default();
    let column = header.split_ascii_whitespace().position(|word| word == "PID");
    let Some(column) = column else { return Err(Error::new("couldn't find PID field in ps output")) };
    let is_ours = |line: &&str| {
        let pid = line.split_ascii_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    let rows = text.lines().skip(1).filter(is_ours);
    Ok(std::iter::once(header).chain(rows).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_the_column_of_the_pid() {
        let text = "UID   PID  PPID CMD\nroot    7     1 sh 8\nroot    8     7 x\nroot   70     7 y\n";
        assert_eq!(rows_of(text, &[8]).unwrap(), "UID   PID  PPID CMD\nroot    8     7 x\n");
        assert_eq!(rows_of(text, &[]).unwrap(), "UID   PID  PPID CMD\n");
        assert!(rows_of("CMD\nsh\n", &[8]).is_err());
    }

    #[test]
    fn the_list_is_json() {
        assert_eq!(process_list(&[3, 14]), "[3,14]\n");
        assert_eq!(process_list(&[]), "null\n");
    }
}
