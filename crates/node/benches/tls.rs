// SPDX-License-Identifier: Apache-2.0
//! What `curl` over TLS reaches from a file to a file on this machine: nginx where there is one, else `openssl s_server`.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

const PORT: u16 = 18_443;

/// A TLS server with one file.
pub(crate) struct TlsServer {
    child: Child,
    file: String,
    /// Which server it is.
    pub(crate) name: &'static str,
}

impl TlsServer {
    /// Serves a file, with a certificate of its own. `STA_NGINX` names a program that is not in the path.
    pub(crate) fn start(directory: &Path, file: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let (root, name) = (file.parent().context("a folder")?, file.file_name().context("a name")?);
        let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost";
        let made = Command::new("openssl").args(make.split(' ')).current_dir(directory).output()?;
        ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let nginx = PathBuf::from(std::env::var_os("STA_NGINX").unwrap_or_else(|| "nginx".into()));
        let has_nginx = Command::new(&nginx).arg("-v").stderr(Stdio::null()).status().is_ok();
        let (mut command, server) = if has_nginx {
            std::fs::write(directory.join("nginx.conf"), nginx_conf(directory, root))?;
            let mut command = Command::new(nginx);
            command.arg("-c").arg(directory.join("nginx.conf")).arg("-p").arg(directory);
            (command, "curl from nginx, TLS 1.3")
        } else {
            let mut command = Command::new("openssl");
            command.args(["s_server", "-quiet", "-WWW", "-accept", &PORT.to_string()]);
            command.arg("-cert").arg(directory.join("cert.pem")).arg("-key").arg(directory.join("key.pem"));
            command.current_dir(root);
            (command, "curl from openssl s_server, TLS 1.3")
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { child, file: name.to_string_lossy().into_owned(), name: server };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            ensure!(began.elapsed() < Duration::from_secs(10), "the TLS server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// How long `curl` takes, without and with the `sync` after it.
    pub(crate) fn fetch(&self, to: &Path) -> Result<(Duration, Duration)> {
        nix::unistd::sync();
        let url = format!("https://127.0.0.1:{PORT}/{}", self.file);
        let began = Instant::now();
        let fetched = Command::new("curl").args(["-sSfk", &url, "-o"]).arg(to).status()?;
        let plain = began.elapsed();
        ensure!(fetched.success(), "curl failed");
        std::fs::File::open(to)?.sync_all()?;
        let synced = began.elapsed();
        std::fs::remove_file(to)?;
        Ok((plain, synced))
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // The master ends its workers when it is told to end, not when it is killed.
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        let _told = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        let _gone = self.child.wait();
    }
}

fn nginx_conf(directory: &Path, root: &Path) -> String {
    let (directory, root) = (directory.display(), root.display());
    let user = if nix::unistd::geteuid().is_root() { "user root;\n" } else { "" };
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/{name};\n"))
        .concat();
    format!(
        "{user}worker_processes auto; daemon off; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; {paths}
server {{ listen 127.0.0.1:{PORT} ssl; ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;
ssl_protocols TLSv1.3; root {root}; }} }}
"
    )
}
