/* What sshd does with a command: starts it as it came, and waits. A POSIX shell would split it into words and write it anew.
 *
 * Windows' sshd has a shell between (cmd.exe /c "COMMAND"); what orch says is the same for each, and a second cmd.exe
 * would double what an exchange costs here. The exit code is that of the command.
 */
#include <stdio.h>
#include <windows.h>

int main(void)
{
    static char asked[32000];
    STARTUPINFOA how = {.cb = sizeof how};
    PROCESS_INFORMATION command;
    DWORD code = 1;
    if (!GetEnvironmentVariableA("SSH_ORIGINAL_COMMAND", asked, sizeof asked)) {
        fputs("this host has no terminal\n", stderr);
        return 1;
    }
    if (!CreateProcessA(NULL, asked, NULL, NULL, TRUE, 0, NULL, NULL, &how, &command)) {
        fprintf(stderr, "it can't be started: error %lu\n", GetLastError());
        return 1;
    }
    WaitForSingleObject(command.hProcess, INFINITE);
    GetExitCodeProcess(command.hProcess, &code);
    return (int)code;
}
