//! What clap's scripts do not know: what stands behind the options. fish's script knows no operands at all, and
//! bash's not where they stand.

use clap::Command;

use crate::cli::{Operand, operands};

const SIGNALS: &str = "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH";

fn names(definition: &Command) -> String {
    definition.get_subcommands().map(Command::get_name).collect::<Vec<_>>().join(" ")
}

/// `COMMAND OPTION` of every option with a value in the next word, in quotes.
fn options_with_values(definition: &Command) -> Vec<String> {
    let of = |command: &Command, name: &str| -> Vec<String> {
        let takes = command.get_opts().filter(|option| !option.is_require_equals_set());
        let spellings = takes.flat_map(|option| {
            let short = option.get_short().map(|letter| format!("-{letter}"));
            let long = option.get_long().map(|long| format!("--{long}"));
            short.into_iter().chain(long)
        });
        spellings.map(|spelling| format!("\"{name} {spelling}\"")).collect()
    };
    let commands = definition.get_subcommands().flat_map(|command| of(command, command.get_name()));
    of(definition, "").into_iter().chain(commands).collect()
}

/// Places `COMMAND:NUMBER` with an operand that `is_wanted`.
fn places(definition: &Command, is_wanted: impl Fn(Operand) -> bool) -> Vec<String> {
    let of = |name: &str| -> Vec<String> {
        let operands = operands(name).iter().enumerate();
        operands
            .filter(|(_, operand)| is_wanted(**operand))
            .map(|(index, _)| format!("{name}:{index}"))
            .collect()
    };
    definition.get_subcommands().flat_map(|command| of(command.get_name())).collect()
}

/// Words for each place that has some.
fn words(definition: &Command) -> Vec<(String, String)> {
    let mut found = vec![(String::from("help:0"), names(definition))];
    for command in definition.get_subcommands() {
        for (index, operand) in operands(command.get_name()).iter().enumerate() {
            let words = match operand {
                Operand::Word(words) => words.join(" "),
                Operand::Signal => String::from(SIGNALS),
                _ => continue,
            };
            found.push((format!("{}:{index}", command.get_name()), words));
        }
    }
    found
}

pub(crate) fn bash(text: &str, definition: &Command) -> String {
    let words: String = words(definition)
        .iter()
        .map(|(place, words)| format!("        {place}) words=\"{words}\" ;;\n"))
        .collect();
    let operands = format!(
        r#"# Options, and behind them what clap's function does not know: where an operand stands.
_pinnace_operands() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" command= position=0 root=() words= word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case "$command $word" in
            {with_values})
                [[ ${{COMP_WORDS[i + 1]}} == = ]] && ((i++))
                ((i++))
                [[ $command$word == --root ]] && root=(--root "${{COMP_WORDS[i]}}")
                ;;
            *" -"*) [[ ${{COMP_WORDS[i + 1]}} == = ]] && ((i += 2)) ;;
            " "*) command=$word ;;
            *) ((position++)) ;;
        esac
    done
    if [[ $cur == -* && $command:$position != @(exec|ps):[1-9]* || -z $command ]] || ((i != COMP_CWORD)); then
        _pinnace "$@"
        return
    fi
    case "$command:$position" in
{words}        {containers}) words=$("$1" "${{root[@]}}" list --quiet 2>/dev/null) ;;
    esac
    # Without words bash completes names of files.
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}

"#,
        with_values = options_with_values(definition).join(" | "),
        containers = places(definition, |operand| operand == Operand::Id).join(" | "),
    );
    let (before, after) = text.split_at(text.rfind("if [[ \"${BASH_VERSINFO").expect("the end"));
    format!("{before}{operands}{}", after.replace("complete -F _pinnace ", "complete -F _pinnace_operands "))
}

pub(crate) fn zsh(text: &str) -> String {
    let mut command = "";
    let mut out = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('(').and_then(|line| line.strip_suffix(')')) {
            command = name;
        }
        if !["'*::ids -- ", "'*::operands -- ", "'*::files -- "].iter().any(|start| line.starts_with(start)) {
            out += line;
            out.push('\n');
            continue;
        }
        for (index, operand) in operands(command).iter().enumerate() {
            let place = index + 1;
            out += &match operand {
                Operand::Word(words) => format!("'{place}:action:({})' \\\n", words.join(" ")),
                Operand::Id => format!("'{place}:container:_pinnace_containers' \\\n"),
                Operand::NewId => format!("'{place}:name of the new container:' \\\n"),
                Operand::Signal => format!("'{place}:signal:({SIGNALS})' \\\n"),
                Operand::File => format!("'{place}:file:_files' \\\n"),
                Operand::Rest(_) => String::from("'*:::words:_default' \\\n"),
            };
        }
    }
    let containers = r#"(( $+functions[_pinnace_containers] )) ||
_pinnace_containers() {
    local -a all root containers
    # The option before the command; words has only what is behind it.
    all=(${(z)BUFFER})
    (( $all[(I)--root] )) && root=(--root ${(Q)all[$all[(I)--root] + 1]})
    containers=(${(f)"$(_call_program containers ${(q)all[1]} ${(q)root} list --quiet 2>/dev/null)"})
    compadd -a containers
}

"#;
    let (before, after) = out.split_at(out.find("if [ \"$funcstack[1]\"").expect("the end"));
    format!("{before}{containers}{after}")
}

pub(crate) fn fish(text: &str, definition: &Command) -> String {
    // Where the last option still waits for its value there is no command yet.
    let text = text.replacen("2>/dev/null\n    or return\n", "2>/dev/null\n    or return 0\n", 1);
    let words: String = words(definition)
        .iter()
        .map(|(place, words)| {
            format!("complete -c pinnace -n \"__fish_pinnace_operand {place}\" -f -a \"{words}\"\n")
        })
        .collect();
    let none = places(definition, |operand| operand == Operand::NewId).join(" ");
    format!(
        r#"{text}
# What stands behind the options: whether the operand to be completed is at one of these places.
function __fish_pinnace_operand
    set -l words (commandline -opc)
    set -l command
    set -l position 0
    set -l i 2
    while test $i -le (count $words)
        switch "$command $words[$i]"
            case {with_values}
                set i (math $i + 1)
            case "* -*"
            case " *"
                set command $words[$i]
            case "*"
                set position (math $position + 1)
        end
        set i (math $i + 1)
    end
    # Beyond that it is the value of an option.
    test $i -eq (math (count $words) + 1)
    and contains -- "$command:$position" $argv
end

function __fish_pinnace_containers
    set -l words (commandline -opc)
    set -l root
    if set -l i (contains -i -- --root $words)
        set root --root $words[(math $i + 1)]
    end
    command $words[1] $root list --quiet 2>/dev/null
end

{words}complete -c pinnace -n "__fish_pinnace_operand {containers}" -f -a "(__fish_pinnace_containers)"
complete -c pinnace -n "__fish_pinnace_operand {none}" -f
"#,
        with_values = options_with_values(definition).join(" "),
        containers = places(definition, |operand| operand == Operand::Id).join(" "),
    )
}
