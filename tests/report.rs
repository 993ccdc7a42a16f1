//! The page of a report: what it says, and what a browser makes of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::support::bench::assert_same_bytes;
use crate::support::{Bench, judge};

/// A name that would be markup.
const HOSTILE: &str = "<img src=x onerror=document.title='run'>";

const SPEC: &str = r#"
[disk]
table = "gpt"

[[partition]]
name = "esp"
type = "esp"
filesystem = "vfat"
size = "34MiB"

[[partition]]
name = "root"
type = "linux-generic"
filesystem = "ext4"
size = "32MiB"
content = [{ directory = "root" }]
"#;

fn bench() -> Bench {
    let bench = Bench::new();
    // Content that no block of zeros stands for.
    let bytes = |length: usize| -> Vec<u8> { (1..=251).cycle().take(length).collect() };
    bench.write("root/usr/lib/large", bytes(6 << 20));
    bench.write("root/usr/lib/small", bytes(2 << 20));
    bench.write("root/usr/share/text", bytes(1 << 20));
    bench.write("root/etc/motd", "hello\n");
    bench.write("root/with space & <b>", bytes(4096));
    std::fs::create_dir(bench.path("root/odd")).unwrap();
    std::fs::write(bench.path("root/odd").join(HOSTILE), bytes(8192)).unwrap();
    bench.write("image.toml", SPEC);
    bench.done(&[
        "build",
        "image.toml",
        "-o",
        "disk.img",
        "--json",
        "record.json",
    ]);
    bench
}

#[test]
fn a_report_is_one_page_that_says_what_takes_the_space() {
    let bench = bench();
    let said = bench.done(&["report", "disk.img", "-o", "page.html"]);
    assert!(said.starts_with("page.html: "), "{said}");
    bench.done(&["report", "disk.img", "-q", "-o", "again.html"]);
    assert_same_bytes(&bench.path("page.html"), &bench.path("again.html"));
    let page = std::fs::read_to_string(bench.path("page.html")).unwrap();
    let figures = bench.done(&["report", "disk.img", "-o", "again.html", "--json", "-"]);
    let figures: Value = serde_json::from_str(&figures).unwrap();
    let root = &figures["volumes"][1];
    let sum = ["files", "metadata", "journal", "free"].map(|key| root[key].as_u64().unwrap());
    assert_eq!(sum.iter().sum::<u64>(), 32 << 20, "{figures}");
    assert_eq!(
        root["largest-files"][0],
        json!({ "path": "/usr/lib/large", "bytes": 6 << 20 })
    );
    let to_stdout = bench.done(&["report", "disk.img", "-o", "-"]);
    assert_eq!(to_stdout, page);
    // Nothing is fetched, and no name is markup.
    for fetched in [
        "http:",
        "https:",
        "<img",
        "<script src",
        "<iframe",
        "url(",
        "@import",
        "<link",
    ] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    assert!(
        !page.contains(HOSTILE) && page.contains("&lt;img src"),
        "{page}"
    );
    for told in [
        "<h2 id=\"volume-1\">Partition 2 &#39;root&#39; (ext4)</h2>",
        "<th scope=\"row\">/usr/lib/large</th><td>6 291 456 bytes</td>",
        "<th scope=\"row\">/usr</th><td>9 437 184 bytes</td>",
        "<th scope=\"row\">journal</th>",
        "<th scope=\"row\">metadata</th>",
        "<th scope=\"row\">free</th>",
    ] {
        let plain = told.replace("&#39;", "'");
        assert!(page.contains(&plain), "{plain}");
    }
}

#[test]
fn a_report_tells_what_has_changed_and_what_a_record_has() {
    let bench = bench();
    bench.write("root/etc/motd", "other\n");
    bench.write("root/etc/new", "");
    bench.done(&["build", "image.toml", "-o", "new.img"]);
    bench.done(&["report", "new.img", "--base", "disk.img", "-o", "page.html"]);
    let page = std::fs::read_to_string(bench.path("page.html")).unwrap();
    for line in ["<code>+ root:/etc/new</code>", "<code>~ root:/etc/motd: "] {
        assert!(page.contains(line), "{line}");
    }
    bench.done(&[
        "report",
        "disk.img",
        "--base",
        "disk.img",
        "-o",
        "same.html",
    ]);
    let page = std::fs::read_to_string(bench.path("same.html")).unwrap();
    assert!(
        page.contains("Differences to disk.img</h2>\n<p>None.</p>"),
        "{page}"
    );

    bench.done(&["report", "record.json", "-o", "record.html"]);
    let page = std::fs::read_to_string(bench.path("record.html")).unwrap();
    let record: Value =
        serde_json::from_slice(&std::fs::read(bench.path("record.json")).unwrap()).unwrap();
    for partition in record["partitions"].as_array().unwrap() {
        for key in ["name", "type", "sha256"] {
            let value = partition[key].as_str().unwrap();
            assert!(page.contains(value), "{key} {value}");
        }
    }
}

#[test]
fn a_report_replaces_nothing_that_it_reads() {
    let bench = bench();
    let before = std::fs::read(bench.path("disk.img")).unwrap();
    for arguments in [
        &["report", "disk.img", "-o", "disk.img"][..],
        &[
            "report",
            "disk.img",
            "--base",
            "record.json",
            "-o",
            "record.json",
        ],
    ] {
        let outcome = bench.run(arguments);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    }
    assert!(before == std::fs::read(bench.path("disk.img")).unwrap());
    bench.write("other.json", "{\"image\": 5}");
    let outcome = bench.run(&["report", "other.json", "-o", "page.html"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("not the record of a build"),
        "{}",
        outcome.stderr
    );
    assert!(!bench.path("page.html").exists());
}

/// A file system that is damaged does not keep the rest from being told.
#[test]
fn a_damaged_file_system_is_told_as_one() {
    let bench = bench();
    let image = bench.path("disk.img");
    let mut bytes = std::fs::read(&image).unwrap();
    // The group descriptors of the second partition, which begins behind 1 + 34 MiB.
    bytes[(35 << 20) + 4096..][..64].fill(0xFF);
    std::fs::write(&image, bytes).unwrap();
    let outcome = bench.run(&["report", "disk.img", "-o", "page.html"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.starts_with("warning: "),
        "{}",
        outcome.stderr
    );
    let page = std::fs::read_to_string(bench.path("page.html")).unwrap();
    assert!(page.contains("<p>Not read: "), "{page}");
}

#[test]
fn a_browser_draws_the_map_and_opens_it_by_mouse_and_keyboard() {
    let bench = bench();
    bench.done(&["report", "disk.img", "-q", "-o", "page.html"]);
    let Some(browser) = Browser::start() else {
        return;
    };
    let page = format!("file://{}", bench.path("page.html").display());
    browser.post("url", &json!({ "url": page }));
    assert_eq!(
        browser.run("return document.title"),
        "disk.img · cellblock report"
    );
    let fetched = "return performance.getEntriesByType('resource').length + document.images.length";
    assert_eq!(browser.run(fetched), 0);

    // The volume is divided as the table says.
    let map = |of: &str| browser.run(&format!("return document.querySelector('.map'){of}"));
    assert_eq!(
        map(".getAttribute('aria-label')"),
        "What takes the space in Partition 2 'root' (ext4)"
    );
    let labels = "return [...document.querySelectorAll('.map .cell')].map(it => it.getAttribute('aria-label').split(':')[0])";
    let names: Vec<String> = serde_json::from_value(browser.run(labels)).unwrap();
    for name in ["/", "free", "journal", "metadata"] {
        assert!(names.iter().any(|one| one == name), "{name}: {names:?}");
    }

    // A click opens the files, and another one a folder.
    browser.click("button[aria-label^='/:']");
    assert_eq!(browser.current(), "/");
    browser.click("button[aria-label^='usr:']");
    assert_eq!(browser.current(), "usr");
    // The areas are as the sizes: 8 MiB of 9 are in lib.
    let area = |name: &str| {
        let script = format!(
            "const box = document.querySelector(\".map [aria-label^='{name}:']\").getBoundingClientRect(); \
             return box.width * box.height"
        );
        browser.run(&script).as_f64().unwrap()
    };
    let ratio = area("lib") / area("share");
    assert!((7.6..8.4).contains(&ratio), "{ratio}");
    // What is seen at its middle is it.
    let seen = "const cell = document.querySelector(\".map [aria-label^='lib:']\"); cell.scrollIntoView(); \
                const box = cell.getBoundingClientRect(); \
                const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2); \
                return cell.contains(at)";
    assert_eq!(browser.run(seen), true);

    // The keyboard does the same: Enter opens what has the focus, and Escape leads back to where it came from.
    let focused = "return document.activeElement.getAttribute('aria-label').split(':')[0]";
    assert_eq!(browser.run(focused), "lib");
    browser.press("\u{E007}");
    assert_eq!(browser.current(), "lib");
    let row =
        "return document.querySelector('.treemap table tbody').innerText.replace(/\\s+/g, ' ')";
    assert_eq!(browser.run(row), "large 6 MiB 75.0 % small 2 MiB 25.0 %");
    browser.press("\u{E00C}");
    assert_eq!(browser.current(), "usr");
    assert_eq!(browser.run(focused), "lib");
    // The trail leads back, too.
    browser.click(".treemap nav button:first-child");
    assert_eq!(browser.current(), "Partition 2 'root' (ext4)");

    // A screen reader hears the headings, the tables and what each cell is.
    let tree = browser.protocol("Accessibility.getFullAXTree", &json!({}));
    let heard: Vec<(String, String)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let text = |key: &str| node[key]["value"].as_str().unwrap_or_default().to_owned();
            (text("role"), text("name"))
        })
        .collect();
    for (role, name) in [
        ("heading", "disk.img"),
        ("heading", "The disk, to scale"),
        (
            "image",
            "68 MiB to scale; the table below has the same partitions",
        ),
        ("table", "Largest files"),
        ("navigation", "Where in Partition 2 'root' (ext4)"),
        ("list", "What takes the space in Partition 2 'root' (ext4)"),
    ] {
        let found = heard
            .iter()
            .any(|(one, other)| one == role && other == name);
        assert!(found, "{role} {name}: {heard:?}");
    }

    // Text stands out from what is behind it, in light and in dark.
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        browser.protocol(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
        let worst = browser.run(CONTRAST).as_f64().unwrap();
        assert!(worst >= 4.5, "{scheme}: {worst}");
        grounds.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1]);
}

/// The lowest contrast of text as WCAG 2 has it, over cells, table heads and links.
const CONTRAST: &str = "
    const light = (text) => {
      const parts = text.match(/[\\d.]+/g).slice(0, 3).map((part) => {
        const value = part / 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const behind = (element) => {
      for (; element; element = element.parentElement) {
        const color = getComputedStyle(element).backgroundColor;
        if (!/, 0\\)$/.test(color)) return color;
      }
      return 'rgb(255, 255, 255)';
    };
    let worst = 21;
    for (const element of document.querySelectorAll('h1, h2, dt, dd, th, td, caption, .cell, nav button, footer')) {
      const one = light(getComputedStyle(element).color), other = light(behind(element));
      worst = Math.min(worst, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
    }
    return worst";

/// A browser without a window, led by the protocol of WebDriver.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    fn start() -> Option<Self> {
        let (driver, chromium) = (judge("chromedriver")?, judge("chromium")?);
        let mut driver = driver
            .command()
            .args(["--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| {
                let line = line.unwrap();
                let port = line.split("successfully on port ").nth(1)?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("it says its port");
        // What it says later goes nowhere, and does not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
        };
        let options = json!({
            "binary": chromium.program(),
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,1600"],
        });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = browser.ask("POST", "/session", Some(&wanted));
        session["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        Some(browser)
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.ask(
            "POST",
            &format!("/session/{}/{what}", self.session),
            Some(body),
        )
    }

    fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    fn protocol(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    fn click(&self, selector: &str) {
        let found = self.post(
            "element",
            &json!({ "using": "css selector", "value": selector }),
        );
        let id = found.as_object().unwrap().values().next().unwrap();
        self.post(
            &format!("element/{}/click", id.as_str().unwrap()),
            &json!({}),
        );
    }

    /// Presses a key where the focus is.
    fn press(&self, key: &str) {
        let actions =
            json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post(
            "actions",
            &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }),
        );
    }

    /// What the trail says is open.
    fn current(&self) -> String {
        let script = "return document.querySelector('.treemap [aria-current]').textContent";
        self.run(script).as_str().unwrap().to_owned()
    }

    /// One request of HTTP; the value of the answer.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{method} {path}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let path = format!("/session/{}", self.session);
            // A test that failed has more to say than this.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.ask("DELETE", &path, None);
            }));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
