//! What the configuration of a container image says, as values for templates.
//!
//! | Name | Value |
//! |---|---|
//! | `content.config.command` | entry point and arguments as words of a POSIX shell |
//! | `content.config.entrypoint`, `.cmd` | each alone, in the same form |
//! | `content.config.environment` | `NAME=VALUE` each, as words of a POSIX shell |
//! | `content.config.systemd.command`, `.systemd.environment` | the same as `ExecStart=` and `Environment=` of systemd take them |
//! | `content.config.env.NAME` | a variable as it is |
//! | `content.config.labels.NAME` | a label as it is |
//! | `content.config.user` | the user, and a group behind a colon; `0` where the image names none |
//! | `content.config.working-directory` | `/` where the image names none |
//! | `content.config.stop-signal` | `SIGTERM` where the image names none |
//! | `content.config.platform`, `.digest` | which image it is: its platform, and the digest of its configuration |

use cellblock_tree::source::{ImageConfig, ImageInfo};

/// What all names begin with.
const PREFIX: &str = "content.config.";

/// The values of an image by name.
pub(crate) fn values(image: &ImageInfo) -> Vec<(String, String)> {
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
    let mut values = Vec::new();
    let mut add = |name: &str, value: String| values.push((format!("{PREFIX}{name}"), value));
    add("command", shell(command.iter().copied()));
    add("entrypoint", shell(entrypoint.iter().map(String::as_str)));
    add("cmd", shell(cmd.iter().map(String::as_str)));
    add(
        "environment",
        join(config.environment().map(|(name, value)| {
            // A name is no word that may be quoted.
            format!("{name}={}", shell_word(value))
        })),
    );
    add("systemd.command", systemd(command.iter().copied(), true));
    add(
        "systemd.environment",
        systemd(env.iter().map(String::as_str), false),
    );
    add("user", or(user, "0"));
    add("working-directory", or(working_dir, "/"));
    add("stop-signal", or(stop_signal, "SIGTERM"));
    add("digest", image.config_digest.clone());
    if let Some(platform) = &image.platform {
        add("platform", platform.to_string());
    }
    for (name, value) in config.environment() {
        add(&format!("env.{name}"), value.to_owned());
    }
    for (name, value) in labels {
        add(&format!("labels.{name}"), value.clone());
    }
    values
}

fn or(text: &str, absent: &str) -> String {
    if text.is_empty() { absent } else { text }.to_owned()
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

fn shell<'w>(words: impl Iterator<Item = &'w str>) -> String {
    join(words.map(shell_word))
}

/// A word as a POSIX shell reads it (POSIX.1-2017, Shell Command Language, 2.2.2).
fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Words as systemd reads them (systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines"): specifiers are not expanded, and
/// in a command line neither are variables.
fn systemd<'w>(words: impl Iterator<Item = &'w str>, is_command: bool) -> String {
    join(words.map(|word| {
        let mut quoted = String::from("\"");
        for letter in word.chars() {
            match letter {
                '"' | '\\' => quoted.extend(['\\', letter]),
                '%' => quoted.push_str("%%"),
                '$' if is_command => quoted.push_str("$$"),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                letter if letter.is_control() => {
                    for byte in letter.to_string().bytes() {
                        quoted.push_str(&format!("\\x{byte:02x}"));
                    }
                }
                letter => quoted.push(letter),
            }
        }
        quoted.push('"');
        quoted
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn info() -> ImageInfo {
        ImageInfo {
            path: "image".into(),
            names: Vec::new(),
            platform: None,
            manifest: None,
            config_digest: "sha256:0".to_owned(),
            layers: Vec::new(),
            config: ImageConfig {
                env: ["PATH=/bin:/usr/bin", "A=it's $5 %\n", "broken"]
                    .map(str::to_owned)
                    .into(),
                entrypoint: vec!["/init".to_owned()],
                cmd: ["-c", "echo \"$A\"", ""].map(str::to_owned).into(),
                labels: [("org.x".to_owned(), "y".to_owned())].into(),
                ..ImageConfig::default()
            },
        }
    }

    fn get(name: &str) -> String {
        let values = values(&info());
        let name = format!("content.config.{name}");
        values
            .into_iter()
            .find(|(found, _)| *found == name)
            .unwrap()
            .1
    }

    #[test]
    fn a_shell_reads_back_what_the_image_says() {
        let script = format!("printf '%s|' {}", get("command"));
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        assert_eq!(output.unwrap().stdout, b"/init|-c|echo \"$A\"||");
        let script = format!("{} sh -c 'printf %s \"$A\"'", get("environment"));
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        assert_eq!(output.unwrap().stdout, b"it's $5 %\n");
    }

    #[test]
    fn systemd_gets_its_own_quotes() {
        assert_eq!(get("systemd.command"), r#""/init" "-c" "echo \"$$A\"" """#);
        assert_eq!(
            get("systemd.environment"),
            r#""PATH=/bin:/usr/bin" "A=it's $5 %%\n" "broken""#
        );
    }

    #[test]
    fn what_an_image_leaves_open_has_its_usual_value() {
        assert_eq!(get("user"), "0");
        assert_eq!(get("working-directory"), "/");
        assert_eq!(get("stop-signal"), "SIGTERM");
        assert_eq!(get("env.PATH"), "/bin:/usr/bin");
        assert_eq!(get("labels.org.x"), "y");
    }
}
