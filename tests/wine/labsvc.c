/* A service that starts, stops and misbehaves as it is told: labsvc.exe NAME.
 *
 * C:\lab\NAME.txt says how, in lines `key value`, read anew at each start and stop; milliseconds, 0 where not given:
 *   start_ms, stop_ms   how long it is pending; its checkpoint rises every STEP_MS
 *   hold 1              goes on pending like that, until the file says 0
 *   hang_stop 1         StopPending for ever, with a checkpoint that stands still; decided at its start
 *   fail CODE           ends while it starts, with this Win32 error
 *   fail_specific CODE  the same, with a service-specific error (1066)
 *   crash_ms            its process ends without a word so long after it began to start
 *   orphan 1            says Stopped, and its process lives on
 *   port                listens there, on the address in C:\lab\address.txt, from Running to Stopped
 * What becomes of it stands in C:\lab\NAME.log, a line each: seconds since 1970, state, PID.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>
#include <windows.h>

#define STEP_MS 250

static const char *name;
static SERVICE_STATUS_HANDLE handle;
static SERVICE_STATUS status = {.dwServiceType = SERVICE_WIN32_OWN_PROCESS};
static HANDLE stop_asked;
static SOCKET listener = INVALID_SOCKET;

static void told(DWORD state)
{
    static const char *WORDS[] = {"", "Stopped", "StartPending", "StopPending", "Running"};
    char line[256];
    FILETIME now;
    DWORD written;
    snprintf(line, sizeof line, "C:\\lab\\%s.log", name);
    HANDLE file = CreateFileA(line, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS, 0, NULL);
    GetSystemTimeAsFileTime(&now);
    double at = (((unsigned long long)now.dwHighDateTime << 32) + now.dwLowDateTime) / 1e7 - 11644473600.0;
    snprintf(line, sizeof line, "%.6f %s %lu\n", at, WORDS[state], GetCurrentProcessId());
    WriteFile(file, line, strlen(line), &written, NULL);
    CloseHandle(file);
}

static void report(DWORD state, DWORD checkpoint)
{
    if (state != status.dwCurrentState) told(state);
    int pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
    status.dwCurrentState = state;
    status.dwCheckPoint = checkpoint;
    status.dwWaitHint = pending ? 4 * STEP_MS : 0;
    status.dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0;
    SetServiceStatus(handle, &status);
}

static DWORD setting(const char *wanted)
{
    char path[300], line[100], key[50];
    unsigned long value, found = 0;
    snprintf(path, sizeof path, "C:\\lab\\%s.txt", name);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%49s %lu", key, &value) == 2 && !strcmp(key, wanted)) found = value;
    if (file) fclose(file);
    return found;
}

static void pend(DWORD state, DWORD how_long_ms)
{
    DWORD checkpoint = 1;
    report(state, checkpoint);
    for (DWORD passed_ms = 0; passed_ms < how_long_ms || setting("hold"); passed_ms += STEP_MS) {
        Sleep(STEP_MS);
        report(state, ++checkpoint);
    }
}

static void listen_on(DWORD port)
{
    WSADATA ignored;
    char address[64] = "";
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((u_short)port)};
    FILE *file = fopen("C:\\lab\\address.txt", "r");
    if (!file || fscanf(file, "%63s", address) != 1) exit(1);
    fclose(file);
    WSAStartup(MAKEWORD(2, 2), &ignored);
    here.sin_addr.s_addr = inet_addr(address);
    listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 16)) exit(1);
}

static DWORD WINAPI crash(void *after_ms)
{
    Sleep((DWORD)(ULONG_PTR)after_ms);
    return TerminateProcess(GetCurrentProcess(), 3);
}

static DWORD WINAPI handler(DWORD control, DWORD event, void *data, void *context)
{
    (void)event, (void)data, (void)context;
    if (control == SERVICE_CONTROL_STOP || control == SERVICE_CONTROL_SHUTDOWN) {
        report(SERVICE_STOP_PENDING, 1);
        SetEvent(stop_asked);
    }
    return NO_ERROR;
}

static void WINAPI serve(DWORD count, char **arguments)
{
    (void)count, (void)arguments;
    handle = RegisterServiceCtrlHandlerExA(name, handler, NULL);
    DWORD crash_ms = setting("crash_ms"), hangs = setting("hang_stop");
    if (crash_ms) CreateThread(NULL, 0, crash, (void *)(ULONG_PTR)crash_ms, 0, NULL);
    pend(SERVICE_START_PENDING, setting("start_ms"));
    DWORD code = setting("fail"), specific = setting("fail_specific");
    if (code || specific) {
        status.dwWin32ExitCode = specific ? ERROR_SERVICE_SPECIFIC_ERROR : code;
        status.dwServiceSpecificExitCode = specific;
        report(SERVICE_STOPPED, 0);
        return;
    }
    if (setting("port")) listen_on(setting("port"));
    report(SERVICE_RUNNING, 0);
    WaitForSingleObject(stop_asked, INFINITE);
    if (hangs) Sleep(INFINITE);
    pend(SERVICE_STOP_PENDING, setting("stop_ms"));
    if (listener != INVALID_SOCKET) closesocket(listener);
    report(SERVICE_STOPPED, 0);
}

int main(int argc, char **argv)
{
    if (argc < 2) return 1;
    name = argv[1];
    stop_asked = CreateEventA(NULL, TRUE, FALSE, NULL);
    SERVICE_TABLE_ENTRYA table[] = {{argv[1], serve}, {NULL, NULL}};
    if (!StartServiceCtrlDispatcherA(table)) return (int)GetLastError();
    if (setting("orphan")) Sleep(INFINITE);
    return 0;
}
