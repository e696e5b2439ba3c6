/* tasklist.exe /fo csv [/nh]: all processes of the host, as Windows' prints them. Wine's own prints nothing.
 *
 * A filter is refused: nobody here asks for one.
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>
#include <psapi.h>
#include <tlhelp32.h>

static unsigned long kilobytes(DWORD pid)
{
    PROCESS_MEMORY_COUNTERS used = {0};
    HANDLE process = OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, pid);
    GetProcessMemoryInfo(process, &used, sizeof used);
    CloseHandle(process);
    return (unsigned long)(used.WorkingSetSize / 1024);
}

int main(int argc, char **argv)
{
    PROCESSENTRY32 one = {.dwSize = sizeof one};
    int heading = 1, csv = 0;
    for (int i = 1; i < argc; i++) {
        if (!_stricmp(argv[i], "/nh")) heading = 0;
        else if (!_stricmp(argv[i], "csv")) csv = 1;
        else if (_stricmp(argv[i], "/fo")) csv = -argc;
    }
    if (csv < 1) {
        fputs("ERROR: Invalid argument/option.\n", stderr);
        return 1;
    }
    if (heading) puts("\"Image Name\",\"PID\",\"Session Name\",\"Session#\",\"Mem Usage\"");
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    for (BOOL more = Process32First(all, &one); more; more = Process32Next(all, &one)) {
        unsigned long used = kilobytes(one.th32ProcessID);
        printf("\"%s\",\"%lu\",\"Services\",\"0\",\"", one.szExeFile, one.th32ProcessID);
        if (used >= 1000) printf("%lu,%03lu K\"\n", used / 1000, used % 1000);
        else printf("%lu K\"\n", used);
    }
    return 0;
}
