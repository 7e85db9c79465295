//! `list`: all containers, as a table, as JSON, or their ids alone.

use std::fmt::Write as _;

use super::Context;
use crate::cli;
use pinnace::blocking::{Container, State, StateRoot};
use pinnace::{Error, Kind, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::List) -> Result<()> {
    let root = context.state_root()?;
    if !["table", "json"].contains(&arguments.format.as_str()) {
        return Err(Error::new("invalid format option"));
    }
    if arguments.quiet {
        let is_container = |id: &String| root.has(id);
        return super::print(
            &root.ids()?.into_iter().filter(is_container).map(|id| id + "\n").collect::<String>(),
        );
    }
    let documents = documents(context, &root)?;
    let text = match arguments.format.as_str() {
        // runc's Go prints an empty list as null.
        "json" if documents.is_empty() => String::from("null\n"),
        "json" => {
            serde_json::to_string(&documents).map_err(|error| Error::new(format!("list: {error}")))? + "\n"
        }
        _ => table(&documents),
    };
    super::print(&text)
}

/// What cannot be read is said and passed over; what was deleted meanwhile is not there.
fn documents(context: &Context<'_>, root: &StateRoot) -> Result<Vec<State>> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut documents = Vec::new();
    for id in root.ids()? {
        let document = Container::open(root, &id).and_then(|container| {
            let owner = owner_name(&passwd, container.owner());
            Ok(State { owner, ..container.state()? })
        });
        match document {
            Ok(document) => documents.push(document),
            Err(error) if error.kind() == Kind::NoSuchContainer => {}
            Err(error) => context.warn(&[format!("load container {id}: {error}")]),
        }
    }
    Ok(documents)
}

/// The user's name, or `#uid`.
fn owner_name(passwd: &str, uid: u32) -> String {
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("#{uid}"))
}

/// Columns as Go's tabwriter sets them for runc: at least 12 wide, 3 apart.
fn table(documents: &[State]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from);
    let rows = documents.iter().map(|document| {
        [
            document.id.clone(),
            document.pid.to_string(),
            document.status.to_string(),
            document.bundle.clone(),
            document.created.clone(),
            document.owner.clone(),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (longest + 3).max(12)
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            // Ignored: writing to a String cannot fail.
            let _ = write!(text, "{cell:<width$}");
        }
        text.push_str(&row[5]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_names_where_the_host_knows_them() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/:/bin/false\n";
        assert_eq!(owner_name(passwd, 33), "web");
        assert_eq!(owner_name(passwd, 34), "#34");
    }

    #[test]
    fn the_header_of_an_empty_table_is_runcs() {
        assert_eq!(table(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }
}
