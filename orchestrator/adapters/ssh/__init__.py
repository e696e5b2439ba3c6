"""HostServices and HostCommand over SSH (asyncssh), driven by PowerShell or by sc.exe."""
