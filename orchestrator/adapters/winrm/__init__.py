"""WinRM: one host's services over PowerShell remoting, with pypsrp. `hosts` is the way in."""
