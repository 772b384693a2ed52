//! A tracker in a process of its own.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Face, SWARMS, peer};

/// How long a tracker may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A tracker that is killed when it is no longer needed.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts one; nothing where it is not installed or lacks that face.
    pub(crate) fn start(name: &str, face: Face) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = match name {
            "tombolo" => ours(face, address, folder.path()),
            "aquatic" => aquatic(face, address, folder.path())?,
            _ => opentracker(face, address, folder.path())?,
        };
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let server = Self {
            child,
            address,
            _folder: folder,
        };
        let starts = server.wait(face);
        if !starts {
            eprintln!("{name} does not start");
        }
        starts.then_some(server)
    }

    /// Whether it answers before long.
    fn wait(&self, face: Face) -> bool {
        let began = Instant::now();
        let up = || match face {
            Face::Udp => crate::udp::answers(self.address),
            _ => TcpStream::connect(self.address).is_ok(),
        };
        while !up() {
            if began.elapsed() > PATIENCE {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// CPU seconds that it has taken.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|word| word.parse::<u64>().ok())
            .sum();
        ticks as f64 / 100.0
    }

    /// Bytes of memory that it has.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .expect("a number");
        kib * 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free for both protocols a moment ago.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("it is bound").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn ours(face: Face, address: SocketAddr, folder: &std::path::Path) -> Command {
    let program = std::env::var_os("TOMBOLO_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tombolo").into());
    let mut command = Command::new(program);
    let flag = if face == Face::Udp { "--udp" } else { "--listen" };
    command
        .args([
            "serve",
            "--json",
            "--bridge",
            "off",
            "--allow-local",
            "--no-limits",
            "--threads",
            "2",
        ])
        .args(["--tcp", "off", "--rtc", "off", flag, &address.to_string(), "--data"])
        .arg(folder);
    command
}

fn aquatic(face: Face, address: SocketAddr, folder: &std::path::Path) -> Option<Command> {
    let name = match face {
        Face::Udp => "aquatic_udp",
        Face::Http | Face::HttpKept => "aquatic_http",
        Face::Ws | Face::WsOffers => "aquatic_ws",
    };
    let program = installed(name)?;
    let config = folder.join("config.toml");
    let mut text = format!("[network]\naddress = \"{address}\"\n");
    if face == Face::Http {
        // It would else keep its end of each open.
        text += "keep_alive = false\n";
    }
    if face == Face::HttpKept {
        text += "keep_alive = true\n";
    }
    std::fs::write(&config, text).ok()?;
    let mut command = Command::new(program);
    command.arg("-c").arg(config);
    Some(command)
}

fn opentracker(face: Face, address: SocketAddr, folder: &std::path::Path) -> Option<Command> {
    if !matches!(face, Face::Udp | Face::Http) {
        return None;
    }
    let program = installed("opentracker")?;
    // Debian's serves listed swarms alone.
    let mut list = std::fs::File::create(folder.join("list")).ok()?;
    let mut hashes: Vec<_> = (0..crate::MANY).map(|number| peer(number, SWARMS).0).collect();
    hashes.extend((0..crate::MANY).map(|number| crate::evenly(number, crate::MANY).0));
    hashes.sort_unstable();
    hashes.dedup();
    let text: String = hashes
        .iter()
        .map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect();
    list.write_all(text.as_bytes()).ok()?;
    // It will not run as root: where we are, it takes the folder for its root and goes on as that user.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).ok()?;
    let mut command = Command::new(program);
    let port = address.port().to_string();
    command
        .args([
            "-i",
            &address.ip().to_string(),
            "-p",
            &port,
            "-P",
            &port,
            "-u",
            "nobody",
            "-d",
        ])
        .arg(folder)
        .args(["-w", "list"]);
    Some(command)
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
