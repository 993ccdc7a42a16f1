//! What the configuration of a container image says, as values for templates.
//!
//! | Name | Value |
//! |---|---|
//! | `content.config.command` | entry point and arguments as words of a POSIX shell |
//! | `content.config.entrypoint`, `.cmd` | each alone, in the same form |
//! | `content.config.environment` | `NAME=VALUE` each, as words of a POSIX shell that `env` takes |
//! | `content.config.systemd.command`, `.systemd.environment` | the same as `ExecStart=` and `Environment=` of systemd take them |
//! | `content.config.systemd.working-directory` | as `WorkingDirectory=` takes it |
//! | `content.config.env.NAME` | a variable as it is |
//! | `content.config.labels.NAME` | a label as it is |
//! | `content.config.user` | the user, and a group behind a colon; `0` where the image names none |
//! | `content.config.working-directory` | `/` where the image names none |
//! | `content.config.stop-signal` | `SIGTERM` where the image names none |
//! | `content.config.shell.NAME` | each of the last five as a word of a POSIX shell |
//! | `content.config.platform`, `.digest` | which image it is: its platform, and the digest of its configuration |
//!
//! An image is a stranger's: what would be more than one word, or more than one line, where it is to be one, is no value.

mod words;

use cellblock_tree::source::{ImageConfig, ImageInfo};

use crate::plan::Fact;
use words::{bare, join, shell, systemd, systemd_command, systemd_path, variable};

/// What all names begin with.
const PREFIX: &str = "content.config.";
/// What the name of a text begins with behind that, where it is a word of a shell.
const SHELL: &str = "shell.";

/// The values of an image by name.
pub(crate) fn values(image: &ImageInfo) -> Vec<(String, Fact)> {
    let config = &image.config;
    let ImageConfig {
        user,
        env,
        entrypoint,
        cmd,
        working_dir,
        labels,
        stop_signal,
    } = config;
    let command: Vec<&str> = config.command().collect();
    let working_directory = or(working_dir, "/");
    let mut values = Values::default();
    values.known("command", in_shell(&command));
    values.known("entrypoint", in_shell(entrypoint));
    values.known("cmd", in_shell(cmd));
    let variables: Result<Vec<String>, String> = env.iter().map(|entry| variable(entry)).collect();
    values.add("environment", variables.map(|all| all.join(" ")));
    values.add("systemd.command", systemd_command(command.into_iter()));
    let variables = env.iter().map(|entry| systemd(entry, false));
    values.known("systemd.environment", join(variables));
    values.add("systemd.working-directory", systemd_path(working_directory));
    values.text("user", or(user, "0"));
    values.text("working-directory", working_directory);
    values.text("stop-signal", or(stop_signal, "SIGTERM"));
    values.known("digest", image.config_digest.clone());
    if let Some(platform) = &image.platform {
        values.known("platform", platform.to_string());
    }
    for (name, value) in config.environment() {
        values.text(&format!("env.{name}"), value);
    }
    for (name, value) in labels {
        values.text(&format!("labels.{name}"), value);
    }
    values.0
}

fn in_shell<W: AsRef<str>>(words: &[W]) -> String {
    join(words.iter().map(|word| shell(word.as_ref())))
}

#[derive(Default)]
struct Values(Vec<(String, Fact)>);

impl Values {
    fn known(&mut self, name: &str, value: String) {
        self.add(name, Ok(value));
    }

    fn add(&mut self, name: &str, value: Result<String, String>) {
        let fact = value.map_or_else(Fact::unusable, Fact::known);
        self.0.push((format!("{PREFIX}{name}"), fact));
    }

    /// A text as it is, and as a word of a shell.
    fn text(&mut self, name: &str, text: &str) {
        let quoted = format!("{PREFIX}{SHELL}{name}");
        let advice = |why| format!("{why}; `{quoted}` is a word of a shell that has it");
        self.add(name, bare(text).map_err(advice));
        self.known(&format!("{SHELL}{name}"), shell(text));
    }
}

fn or<'t>(text: &'t str, absent: &'t str) -> &'t str {
    if text.is_empty() { absent } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn info(config: ImageConfig) -> ImageInfo {
        ImageInfo {
            path: "image".into(),
            names: Vec::new(),
            platform: None,
            manifest: None,
            config_digest: "sha256:0".to_owned(),
            layers: Vec::new(),
            config,
        }
    }

    fn usual() -> ImageConfig {
        ImageConfig {
            env: ["PATH=/bin:/usr/bin", "A=it's $5 %\n", "dotted.name=b c"]
                .map(str::to_owned)
                .into(),
            entrypoint: vec!["/init".to_owned()],
            cmd: ["-c", "echo \"$A\"", ""].map(str::to_owned).into(),
            labels: [("org.x".to_owned(), "y\nz".to_owned())].into(),
            ..ImageConfig::default()
        }
    }

    fn fact(config: &ImageConfig, name: &str) -> Fact {
        let values = values(&info(config.clone()));
        let name = format!("content.config.{name}");
        values
            .into_iter()
            .find(|(found, _)| *found == name)
            .unwrap()
            .1
    }

    fn get(name: &str) -> String {
        let fact = fact(&usual(), name);
        assert_eq!(fact.unusable, None);
        fact.text
    }

    fn why_not(config: &ImageConfig, name: &str) -> String {
        fact(config, name).unusable.unwrap()
    }

    fn said_by_shell(script: &str) -> Vec<u8> {
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        output.stdout
    }

    #[test]
    fn a_shell_reads_back_what_the_image_says() {
        let script = format!("printf '%s|' {}", get("command"));
        assert_eq!(said_by_shell(&script), b"/init|-c|echo \"$A\"||");
        let environment = get("environment");
        let script = format!("env -i {environment} sh -c 'printf %s \"$A\"'");
        assert_eq!(said_by_shell(&script), b"it's $5 %\n");
        let said = said_by_shell(&format!("env -i {environment} env"));
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("\ndotted.name=b c\n"), "{said}");
    }

    #[test]
    fn no_text_of_an_image_becomes_more_than_a_word() {
        for hostile in [
            "x;echo INJECTED;y=1",
            "$(echo INJECTED)=1",
            "`echo INJECTED`=1",
            "BAD NAME=x",
            "'=\"",
            "*=1",
        ] {
            let config = ImageConfig {
                env: vec![hostile.to_owned()],
                working_dir: format!("/{hostile}"),
                ..ImageConfig::default()
            };
            let word = fact(&config, "environment").text;
            let said = said_by_shell(&format!("printf %s {word}"));
            assert_eq!(said, hostile.as_bytes());
            let word = fact(&config, "shell.working-directory").text;
            let said = said_by_shell(&format!("printf %s {word}"));
            assert_eq!(said, format!("/{hostile}").as_bytes());
        }
        for (entry, why) in [
            ("NONE", "has no value"),
            ("-S id=1", "whose name no program can be given"),
            ("A\nB=1", "whose name no program can be given"),
            ("=1", "whose name no program can be given"),
        ] {
            let config = ImageConfig {
                env: vec!["A=1".to_owned(), entry.to_owned()],
                ..ImageConfig::default()
            };
            let said = why_not(&config, "environment");
            assert!(said.contains(why) && said.contains(entry), "{said}");
        }
    }

    #[test]
    fn a_text_of_several_lines_is_a_word_of_a_shell_and_no_line() {
        let why = why_not(&usual(), "labels.org.x");
        for part in [
            "'\\n' in it, as byte 1",
            "`content.config.shell.labels.org.x`",
        ] {
            assert!(why.contains(part), "{why}");
        }
        assert_eq!(get("shell.labels.org.x"), "'y\nz'");
    }

    #[test]
    fn systemd_gets_its_own_quotes() {
        assert_eq!(get("systemd.command"), r#""/init" "-c" "echo \"$$A\"" """#);
        assert_eq!(
            get("systemd.environment"),
            r#""PATH=/bin:/usr/bin" "A=it's $5 %%\n" "dotted.name=b c""#
        );
    }

    #[test]
    fn systemd_takes_nothing_of_an_image_for_its_own() {
        for (command, working_dir) in [
            ("+/bin/x", "a"),
            ("-/bin/x", "~"),
            ("!/bin/x", "-/a"),
            ("@/bin/x", "/a\\"),
            (":/bin/x", "/a "),
            ("|/bin/x", "/a\nUser=root"),
        ] {
            let config = ImageConfig {
                cmd: vec![command.to_owned()],
                working_dir: working_dir.to_owned(),
                ..ImageConfig::default()
            };
            assert!(why_not(&config, "systemd.command").contains("prefix"));
            why_not(&config, "systemd.working-directory");
        }
        let config = ImageConfig {
            working_dir: "/a b/%i".to_owned(),
            ..ImageConfig::default()
        };
        let path = fact(&config, "systemd.working-directory").text;
        assert_eq!(path, "/a b/%%i");
    }

    #[test]
    fn what_an_image_leaves_open_has_its_usual_value() {
        assert_eq!(get("user"), "0");
        assert_eq!(get("working-directory"), "/");
        assert_eq!(get("systemd.working-directory"), "/");
        assert_eq!(get("stop-signal"), "SIGTERM");
        assert_eq!(get("env.PATH"), "/bin:/usr/bin");
    }
}
