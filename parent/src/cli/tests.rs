//! What is understood of a command line.

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::*;
use pinnace::blocking::ManagerKind;
use pinnace::log::Level;

fn parse_line(line: &str) -> std::result::Result<Parsed, UsageError> {
    parse(line.split(' ').map(OsString::from).collect())
}

#[track_caller]
fn command(line: &str) -> (Global, Invocation) {
    match parse_line(line) {
        Ok(Parsed::Command(global, invocation)) => (*global, invocation),
        Ok(Parsed::Text(text)) => panic!("{line}: {text}"),
        Err(error) => panic!("{line}: {}", error.message),
    }
}

#[track_caller]
fn refused(line: &str) -> String {
    parse_line(line).expect_err(line).message
}

/// The options' values, after the structure that a line of the command becomes.
macro_rules! parsed {
    ($variant:ident, $line:expr) => {{
        let (_, Invocation::$variant(parsed)) = command($line) else { panic!("{}", $line) };
        parsed
    }};
}

#[test]
fn options_are_understood_as_runc_understands_them() {
    for line in [
        "pinnace --root /r run --bundle /b -d web",
        "pinnace -root /r run -bundle /b --detach web",
        "pinnace --root=/r run web -d --bundle=/b",
        "pinnace -root=/r run web -d=T -b=/b",
        "pinnace --root / --root /r run --d -b/x -b/b -- web",
        "pinnace --root /r run -db /b web",
        "pinnace --root /r run -db/b web",
    ] {
        let (global, invocation) = command(line);
        let Invocation::Run(run) = invocation else { panic!("{line}") };
        assert_eq!(global.root, Some(PathBuf::from("/r")), "{line}");
        assert_eq!(run.create.bundle, Some(PathBuf::from("/b")), "{line}");
        assert!(run.detach, "{line}");
        assert_eq!(run.create.ids, ["web"], "{line}");
    }
}

#[test]
fn switches_take_the_boolean_values_of_go() {
    for (value, expected) in [("", true), ("=1", true), ("=t", true), ("=T", true), ("=TRUE", true)]
        .into_iter()
        .chain([("=true", true), ("=True", true), ("=0", false), ("=f", false), ("=F", false)])
        .chain([("=FALSE", false), ("=false", false), ("=False", false)])
    {
        for name in ["--detach", "-detach", "-d", "--d"] {
            assert_eq!(
                parsed!(Run, &format!("pinnace run {name}{value} web")).detach,
                expected,
                "{name}{value}"
            );
        }
    }
    for (line, expected) in [
        ("pinnace run -d -d=false web", false),
        ("pinnace run --detach=false web --detach", true),
        ("pinnace run --detach=true -d=0 -detach=t web", true),
    ] {
        assert_eq!(parsed!(Run, line).detach, expected, "{line}");
    }
    for (line, expected) in [
        ("pinnace exec web true", None),
        ("pinnace exec --no-new-privs web true", Some(true)),
        ("pinnace exec -no-new-privs=false web true", Some(false)),
        ("pinnace exec -no-new-privs=false --no-new-privs=T web true", Some(true)),
    ] {
        assert_eq!(parsed!(Exec, line).no_new_privs, expected, "{line}");
    }
    assert_eq!(
        refused("pinnace run --no-pivot=maybe web"),
        "invalid boolean value \"maybe\" for -no-pivot: parse error"
    );
    assert_eq!(refused("pinnace -debug= list"), "invalid boolean value \"\" for -debug: parse error");
}

/// All options: the command's name, which is empty for the program's own, and the option.
fn every_flag() -> impl Iterator<Item = (&'static str, &'static flags::Flag)> {
    let of_program = flags::table_of::<Global>().flags.into_iter().flatten().map(|flag| ("", flag));
    let of_commands = table::entries()
        .flat_map(|entry| (entry.table)().flags.into_iter().flatten().map(|flag| (entry.name, flag)));
    of_program.chain(of_commands)
}

#[test]
fn every_switch_of_every_command_can_be_switched_off() {
    for (command, flag) in every_flag().filter(|(_, flag)| flag.kind.is_switch()) {
        let (long, rest) = (flag.long, if command.is_empty() { " list" } else { "" });
        for dashes in ["-", "--"] {
            let line =
                format!("pinnace {command} {dashes}{long} {dashes}{long}=false{rest}").replace("  ", " ");
            assert!(matches!(parse_line(&line), Ok(Parsed::Command(..))), "{line}");
        }
    }
}

#[test]
fn every_option_has_its_forms() {
    for (command, flag) in every_flag().filter(|(_, flag)| !flag.kind.is_switch()) {
        let (long, rest) = (flag.long, if command.is_empty() { " list" } else { "" });
        let value = match long {
            "rootless" => "true",
            "preserve-fds" => "1",
            _ => "-2",
        };
        let letter = flag.short.map(|letter| format!("-{letter}{value}"));
        let forms = [format!("--{long} {value}"), format!("-{long} {value}"), format!("--{long}={value}")];
        for form in forms.into_iter().chain([format!("-{long}={value}")]).chain(letter) {
            let line = format!("pinnace {command} {form}{rest}").replace("  ", " ");
            assert!(matches!(parse_line(&line), Ok(Parsed::Command(..))), "{line}");
        }
        let line = format!("pinnace {command} --{long}").replace("  ", " ");
        assert_eq!(refused(&line), format!("flag needs an argument: -{long}"), "{line}");
    }
}

/// Each option's field is its own, and an option that is taken back is as if it had never been given.
#[test]
fn every_option_reaches_its_field_and_can_be_taken_back() {
    let said = |line: &str| format!("{:?}", command(line));
    let mut seen = std::collections::HashMap::new();
    for (name, flag) in every_flag() {
        let (long, rest) = (flag.long, if name.is_empty() { " list" } else { "" });
        let line = |words: &str| {
            let all = format!("pinnace {name} {words} {rest}");
            all.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        };
        let value = if flag.kind.is_switch() { "true" } else { "7" };
        let given = said(&line(&format!("--{long}={value}")));
        assert_ne!(given, said(&line("")), "{name} --{long}");
        let first = seen.insert((name, given), long);
        assert_eq!(first, None, "{name} --{long}");
        let back = if flag.kind.is_switch() { "false" } else { "" };
        if !flag.kind.adds() && flag.kind != flags::Kind::Choice {
            assert_eq!(
                said(&line(&format!("--{long}={value} --{long}={back}"))),
                said(&line("")),
                "{name} --{long}"
            );
        }
    }
}

#[test]
fn what_is_no_option_is_refused_in_runcs_words() {
    for (line, message) in [
        ("pinnace create -bogus web", "flag provided but not defined: -bogus"),
        ("pinnace create --bogus=x web", "flag provided but not defined: -bogus"),
        ("pinnace create --no-pivots web", "flag provided but not defined: -no-pivots"),
        ("pinnace create -bu=/b web", "flag provided but not defined: -bu"),
        ("pinnace create -debug web", "flag provided but not defined: -debug"),
        ("pinnace run -dx web", "flag provided but not defined: -dx"),
        ("pinnace run -dt=false web", "flag provided but not defined: -dt"),
        ("pinnace list -fjson", "flag provided but not defined: -fjson"),
        ("pinnace -x list", "flag provided but not defined: -x"),
        ("pinnace create ---b web", "bad flag syntax: ---b"),
        ("pinnace list --=x", "bad flag syntax: --=x"),
        ("pinnace create web -b", "flag needs an argument: -bundle"),
        ("pinnace list web", "\"list\" requires exactly 0 argument(s)"),
        ("pinnace features -- -q", "\"features\" requires exactly 0 argument(s)"),
    ] {
        assert_eq!(refused(line), message, "{line}");
    }
    let message = "invalid value \"x\" for flag -preserve-fds: parse error";
    assert_eq!(refused("pinnace run --preserve-fds x web"), message);
    let bytes = [&b"pinnace"[..], b"create", b"--\xff"].map(|word| OsString::from_vec(word.to_vec()));
    assert!(parse(bytes.into()).is_err());
}

#[test]
fn a_value_that_is_no_text_is_refused_with_its_option() {
    for (words, name) in [
        (&[b"exec".as_slice(), b"-u", b"\xff", b"web", b"true"][..], "user"),
        (&[b"exec", b"--cap=\xff", b"web", b"true"], "cap"),
        (&[b"exec", b"--preserve-fds", b"\xff", b"web", b"true"], "preserve-fds"),
        (&[b"update", b"--memory=\xff", b"web"], "memory"),
        (&[b"--log-format", b"\xff", b"list"], "log-format"),
        (&[b"list", b"--format", b"\xff"], "format"),
    ] {
        let words = [&[b"pinnace".as_slice()], words].concat();
        let words = words.into_iter().map(|word| OsString::from_vec(word.to_vec())).collect();
        let message = parse(words).expect_err(name).message;
        assert_eq!(message, format!("invalid value \"\u{fffd}\" for flag -{name}: not UTF-8"));
    }
}

#[test]
fn known_values_are_there_to_complete_and_unknown_ones_are_the_commands_to_refuse() {
    let list = parsed!(List, "pinnace --log-format=x list --format x");
    assert_eq!(list.format, "x");
    let known = |command: &clap::Command, name: &str| {
        let option =
            command.get_arguments().find(|option| option.get_long() == Some(name)).expect("an option");
        option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect::<Vec<_>>()
    };
    let definition = definition();
    assert_eq!(known(&definition, "log-format"), ["text", "json"]);
    assert_eq!(known(&definition, "cgroup-manager"), ["cgroupfs", "systemd", "disabled"]);
    for command in definition.get_subcommands() {
        let has_format = command.get_arguments().any(|option| option.get_long() == Some("format"));
        assert!(!has_format || known(command, "format").contains(&String::from("json")), "{command}");
    }
}

#[test]
fn negative_numbers_behind_an_operand_are_operands() {
    assert_eq!(parsed!(Kill, "pinnace kill web -1").operands, ["web", "-1"]);
    assert_eq!(refused("pinnace kill -1 web"), "flag provided but not defined: -1");
    assert_eq!(refused("pinnace kill web -x"), "flag provided but not defined: -x");
    assert_eq!(parsed!(Run, "pinnace run --preserve-fds -1 web").create.preserve_fds, -1);
}

#[test]
fn values_are_taken_whatever_they_look_like() {
    let exec = parsed!(Exec, "pinnace exec -te A=-b -eB=c=d -e=C -u1000 -g5 --cap -x -cCAP_KILL web -t -e x");
    assert!(exec.tty);
    assert_eq!(exec.env, ["A=-b", "B=c=d", "C"]);
    assert_eq!(
        (exec.user.as_deref(), exec.additional_gids.as_slice()),
        (Some("1000"), &[String::from("5")][..])
    );
    assert_eq!(exec.cap, ["-x", "CAP_KILL"]);
    assert_eq!(exec.operands, ["web", "-t", "-e", "x"]);
    let update = parsed!(Update, "pinnace update -r - --cpu-quota -1 --memory= --memory 1g --memory= web");
    assert_eq!(update.resources, Some(PathBuf::from("-")));
    assert_eq!((update.cpu_quota.as_deref(), update.memory), (Some("-1"), None));
    let bytes =
        [&b"pinnace"[..], b"create", b"-b", b"/\xff", b"web"].map(|word| OsString::from_vec(word.to_vec()));
    let Ok(Parsed::Command(_, Invocation::Create(create))) = parse(bytes.into()) else { panic!() };
    assert_eq!(create.bundle.unwrap().into_os_string().into_vec(), b"/\xff");
}

#[test]
fn the_cgroup_manager_is_chosen_once() {
    for (line, expected) in [
        ("pinnace state web", Some(ManagerKind::Cgroupfs)),
        ("pinnace --systemd-cgroup state web", Some(ManagerKind::Systemd)),
        ("pinnace -systemd-cgroup=true state web", Some(ManagerKind::Systemd)),
        ("pinnace -systemd-cgroup=false state web", Some(ManagerKind::Cgroupfs)),
        ("pinnace --cgroup-manager systemd state web", Some(ManagerKind::Systemd)),
        ("pinnace --cgroup-manager=disabled state web", Some(ManagerKind::Disabled)),
        ("pinnace --cgroup-manager=x state web", None),
        ("pinnace --systemd-cgroup --cgroup-manager cgroupfs state web", None),
    ] {
        assert_eq!(command(line).0.cgroup_manager().ok(), expected, "{line}");
    }
}

#[test]
fn levels_of_the_log_and_choices_of_rootless_are_words() {
    for (line, expected) in [
        ("pinnace list", Some(Level::Warning)),
        ("pinnace --debug --log-level error list", Some(Level::Debug)),
        ("pinnace --debug=0 --log-level error list", Some(Level::Error)),
        ("pinnace --log-level=debug list", Some(Level::Debug)),
        ("pinnace --log-level=loud list", None),
    ] {
        assert_eq!(command(line).0.log_level().ok(), expected, "{line}");
    }
    for (line, expected) in [
        ("pinnace list", Some(None)),
        ("pinnace --rootless auto list", Some(None)),
        ("pinnace --rootless=true list", Some(Some(true))),
        ("pinnace --rootless=0 list", Some(Some(false))),
        ("pinnace --rootless=perhaps list", None),
    ] {
        assert_eq!(command(line).0.forgives_cgroups().ok(), expected, "{line}");
    }
}

#[test]
fn words_behind_the_id_are_passed_on_as_they_are() {
    for (line, format, operands) in [
        ("pinnace ps web -ef", "table", vec!["web", "-ef"]),
        ("pinnace -debug ps -format json web", "json", vec!["web"]),
        (
            "pinnace ps -f json web -f -format --all -root",
            "json",
            vec!["web", "-f", "-format", "--all", "-root"],
        ),
        ("pinnace ps --format=json web aux", "json", vec!["web", "aux"]),
        ("pinnace ps -- web -- x", "table", vec!["web", "--", "x"]),
        ("pinnace ps web -- --help", "table", vec!["web", "--", "--help"]),
    ] {
        let ps = parsed!(Ps, line);
        assert_eq!(
            (ps.format.as_str(), ps.operands),
            (format, operands.into_iter().map(String::from).collect()),
            "{line}"
        );
    }
}

#[test]
fn help_usage_and_version_are_texts_wherever_they_stand() {
    for (line, beginning) in [
        ("pinnace", "An OCI container runtime"),
        ("pinnace --debug", "An OCI container runtime"),
        ("pinnace -?", "An OCI container runtime"),
        ("pinnace --usage", "Usage: pinnace [OPTIONS] [COMMAND]"),
        ("pinnace h create", "Create a container"),
        ("pinnace create web -h", "Create a container"),
        ("pinnace create --help", "Create a container"),
        ("pinnace create -help=true -?", "Create a container"),
        ("pinnace create --usage", "Usage: pinnace create [OPTIONS] <ID>"),
        ("pinnace -v", "pinnace version"),
        ("pinnace -V list", "pinnace version"),
        ("pinnace -version=true list", "pinnace version"),
    ] {
        let Ok(Parsed::Text(text)) = parse_line(line) else { panic!("{line}") };
        assert!(text.starts_with(beginning), "{line}: {text}");
    }
    command("pinnace -v=false --help=false list --help=false");
}

#[test]
fn log_options_are_known_whatever_else_is_wrong() {
    for line in [
        "pinnace --log /l --log-format json create --bogus",
        "pinnace --bogus -log=/x -log /l --log-format=text -log-format=json create web",
        "pinnace --debug=x --log /l --log-format json frobnicate",
    ] {
        let global = parse_line(line).unwrap_err().global;
        assert_eq!(
            (global.log.clone(), global.log_format.as_str()),
            (Some(PathBuf::from("/l")), "json"),
            "{line}"
        );
    }
}

#[test]
fn an_unknown_command_exits_with_3_as_runc_does() {
    let error = parse_line("pinnace frobnicate").unwrap_err();
    assert_eq!((error.exit_code, error.message.as_str()), (3, "No help topic for 'frobnicate'"));
}

#[test]
fn clap_finds_no_fault_with_the_definitions() {
    definition().debug_assert();
}
