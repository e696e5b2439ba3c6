/* taskkill.exe /PID n /F [/T]: ends a process, with /T its children before it. Wine's own knows no /T.
 *
 * It says and returns what Windows' does: 0 all were ended, 128 there is no such process, 255 not all of the tree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <tlhelp32.h>

#define MOST 512

static PROCESSENTRY32 all[MOST];
static int count;

static int end(DWORD pid, DWORD parent, int tree)
{
    int whole = 1;
    for (int i = 0; tree && i < count; i++)
        if (all[i].th32ParentProcessID == pid && all[i].th32ProcessID != pid)
            whole &= end(all[i].th32ProcessID, pid, tree);
    HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, pid);
    int ended = process && TerminateProcess(process, 1);
    CloseHandle(process);
    if (!ended) fprintf(stderr, "ERROR: The process with PID %lu could not be terminated.\n", pid);
    else if (tree)
        printf("SUCCESS: The process with PID %lu (child process of PID %lu) has been terminated.\n", pid, parent);
    else printf("SUCCESS: The process with PID %lu has been terminated.\n", pid);
    return whole && ended;
}

int main(int argc, char **argv)
{
    DWORD pid = 0;
    int forced = 0, tree = 0;
    for (int i = 1; i < argc; i++) {
        if (!_stricmp(argv[i], "/pid") && i + 1 < argc) pid = strtoul(argv[++i], NULL, 10);
        else if (!_stricmp(argv[i], "/f")) forced = 1;
        else if (!_stricmp(argv[i], "/t")) tree = 1;
    }
    if (!pid || !forced) {
        fputs("ERROR: Invalid argument/option.\n", stderr);
        return 1;
    }
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    for (all[0].dwSize = sizeof all[0]; count < MOST - 1; all[count].dwSize = sizeof all[0])
        if (!(count ? Process32Next(snapshot, &all[count]) : Process32First(snapshot, &all[count]))) break;
        else count++;
    for (int i = 0; i < count; i++)
        if (all[i].th32ProcessID == pid) return end(pid, all[i].th32ParentProcessID, tree) ? 0 : 255;
    fprintf(stderr, "ERROR: The process \"%lu\" not found.\n", pid);
    return 128;
}
