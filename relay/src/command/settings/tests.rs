use super::*;

/// Reads these arguments. What the environment does is for tests that start the program.
fn asked(arguments: &str) -> Result<Asked, Refusal> {
    let arguments: Vec<OsString> = arguments.split_whitespace().map(OsString::from).collect();
    read(&arguments)
}

/// What `--print-config` says of these arguments: by key.
fn settings(arguments: &str) -> toml::Table {
    match asked(&[arguments, " --print-config"].concat()) {
        Ok(Asked::Print(text)) => parse(&text),
        other => panic!("{other:?}"),
    }
}

fn parse(text: &str) -> toml::Table {
    let table = toml::de::DeTable::parse(text).unwrap();
    let mut out = toml::Table::new();
    for (key, value) in table.get_ref() {
        out.insert(key.get_ref().to_string(), plain(value.get_ref()));
    }
    out
}

fn plain(value: &toml::de::DeValue<'_>) -> toml::Value {
    match value {
        toml::de::DeValue::String(text) => text.to_string().into(),
        toml::de::DeValue::Integer(number) => number.as_str().parse::<i64>().unwrap().into(),
        toml::de::DeValue::Boolean(switch) => (*switch).into(),
        toml::de::DeValue::Array(list) => list.iter().map(|one| plain(one.get_ref())).collect::<Vec<_>>().into(),
        other => panic!("{other:?}"),
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn refusal(arguments: &str, text: &str) -> String {
    let file = file(text);
    match asked(&format!("{arguments} --config {}", file.path().display())) {
        Err(Refusal::File(failure, _)) => {
            assert_eq!((failure.status, failure.code), (2, "bad-config"));
            failure.message.replace(&file.path().display().to_string(), "FILE")
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_flag_goes_before_the_file_before_the_default() {
    let file = file("interval = 3\nmax-peers = 3\ncache = \"3MiB\"\nno-dht = true\n");
    let arguments = format!("tombolo serve --interval 1 --config {}", file.path().display());
    let found = settings(&arguments);
    assert_eq!(found["interval"], 1.into());
    assert_eq!(found["max-peers"], 3.into());
    assert_eq!(found["cache"], "3MiB".into());
    assert_eq!(found["encryption"], "prefer".into());
    assert_eq!((&found["no-dht"], &found["no-lsd"]), (&true.into(), &false.into()));
}

#[test]
fn what_is_printed_says_the_same_when_it_is_read() {
    for command in ["serve", "tracker", "get x", "seed x"] {
        let (name, more) = command.split_once(' ').unwrap_or((command, ""));
        let arguments = format!("tombolo {name} --threads 3 --no-limits --json --listen 127.0.0.1:0 {more}");
        let arguments = if more.is_empty() {
            arguments
        } else {
            arguments.replace("--no-limits", "--no-dht --tracker ws://a/b?c=\"d\"")
        };
        let Ok(Asked::Print(text)) = asked(&[&arguments, " --print-config"].concat()) else {
            panic!("{arguments}");
        };
        let file = file(&text);
        let again = format!("tombolo {name} {more} --config {}", file.path().display());
        assert_eq!(settings(&again), parse(&text), "{command}");
        let all = commands();
        for arg in all
            .find_subcommand(name)
            .unwrap()
            .get_arguments()
            .filter(|arg| file::is_setting(arg))
        {
            assert!(
                text.contains(&format!("{} = ", arg.get_long().unwrap())),
                "{name} {:?}",
                arg.get_id()
            );
        }
    }
}

#[test]
fn each_flag_of_each_command_has_its_variable() {
    let all = commands();
    for command in all.get_subcommands() {
        let arguments = ["tombolo".into(), command.get_name().to_owned().into(), "--help".into()];
        let equipped = equipped(&arguments);
        let command = equipped.find_subcommand(command.get_name()).unwrap();
        for arg in command
            .get_arguments()
            .filter(|arg| arg.get_long().is_some_and(|long| long != "print-config"))
        {
            let long = arg.get_long().unwrap().to_ascii_uppercase().replace('-', "_");
            assert_eq!(
                arg.get_env(),
                Some(OsStr::new(&format!("TOMBOLO_{long}"))),
                "{}",
                command.get_name()
            );
        }
    }
}

#[test]
fn what_is_given_nearer_overrules_what_it_excludes() {
    let file = file("no-dht = true\nv2 = true");
    let found = settings(&format!(
        "tombolo seed x --dht-bootstrap none --hybrid --config {}",
        file.path().display()
    ));
    assert_eq!(found["no-dht"], false.into());
    assert_eq!((&found["v2"], &found["hybrid"]), (&false.into(), &true.into()));
    let file = self::file("no-trackers = true");
    let found = settings(&format!(
        "tombolo get x --tracker udp://a:1 --config {}",
        file.path().display()
    ));
    assert_eq!(found["no-trackers"], false.into());
}

#[test]
fn secrets_are_not_printed() {
    for secret in ["token hush", "proxy socks5://me:hush@proxy.test"] {
        let Ok(Asked::Print(text)) = asked(&format!("tombolo serve --{secret} --print-config")) else {
            panic!()
        };
        let key = secret.split(' ').next().unwrap();
        assert!(!text.contains("hush") && text.contains(&format!("#{key} = ")), "{text}");
    }
}

#[test]
fn malformed_files_are_refused_with_their_line() {
    for (text, expected) in [
        (
            "interval = 5\nintervall = 3",
            "FILE, line 2: `intervall` is no setting of `serve`",
        ),
        ("\n\nconfig = 'x'", "FILE, line 3: `config` is no setting"),
        ("help = true", "FILE, line 1: `help` is no setting"),
        ("[section]\nx = 1", "FILE, line 1: `section` cannot be table"),
        ("no-dht = 'x'", "FILE, line 1: `no-dht` is true or false"),
        ("interval = true", "FILE, line 1: `interval` has a value"),
        ("interval = [1]", "FILE, line 1: `interval` has one value"),
        ("interval = 1.5", "FILE, line 1: `interval` cannot be float"),
        ("allow = [[]]", "FILE, line 1: `allow` cannot be array"),
        ("\ninterval = 0", "FILE, line 2: invalid value '0' for '--interval"),
        ("\nallow = ['xy']", "FILE, line 2: invalid value 'xy' for '--allow"),
        ("\nbridge = 'x'", "FILE, line 2: invalid value 'x' for '--bridge"),
        ("tls-cert = 'x'", "FILE, line 1: the following required arguments"),
        ("a = 1\na = 2", "FILE, line 2: "),
        ("a = ", "FILE, line 1: "),
        ("{\"allow\": []}", "FILE, line 1: "),
    ] {
        let found = refusal("tombolo serve", text);
        assert!(found.starts_with(expected), "{text:?}: {found}");
    }
    assert!(matches!(
        asked("tombolo serve --config /nonexistent/file"),
        Err(Refusal::File(Failure { code: "io", .. }, false))
    ));
}

#[test]
fn the_definitions_hold() {
    commands().debug_assert();
}
