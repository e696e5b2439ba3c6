/* Tells the service control manager of processes that died, as Windows' own notices by itself, and Wine's does not.
 *
 * A service whose process is gone becomes Stopped with error 1067 (a status handle is an ordinary service handle in
 * Wine, with a right of its own). Then its recovery actions follow, as they stand in the registry: restart after a
 * delay, the first action at the first failure, the last one for all after it. It is the first program of a boot, and
 * runs until the host is switched off; C:\lab\booted.txt says that the service control manager answers.
 */
#include <stdio.h>
#include "failure_actions.h"

#define PERIOD_MS 400
#define SET_STATUS 0x8000
#define FAILURES_MOST 64

static struct { char name[256]; DWORD count; ULONGLONG restart_at; } failures[FAILURES_MOST];

static int is_dead(DWORD pid)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, pid);
    int dead = !process || WaitForSingleObject(process, 0) == WAIT_OBJECT_0;
    CloseHandle(process);
    return dead;
}

static void plan_recovery(const char *name)
{
    struct failure_actions actions;
    int at = 0;
    while (at < FAILURES_MOST - 1 && failures[at].name[0] && strcmp(failures[at].name, name)) at++;
    strncpy(failures[at].name, name, sizeof failures[at].name - 1);
    failure_actions_read(name, &actions);
    if (!actions.count) return;
    DWORD next = failures[at].count < actions.count ? failures[at].count : actions.count - 1;
    failures[at].count++;
    if (actions.action[next].type == SC_ACTION_RESTART)
        failures[at].restart_at = GetTickCount64() + actions.action[next].delay_ms;
}

/* Of a process that said Stopped before it ended, the service has none any more when it is looked at again. */
static void bury(SC_HANDLE manager, const char *name, DWORD pid)
{
    SERVICE_STATUS stopped = {SERVICE_WIN32_OWN_PROCESS, SERVICE_STOPPED, 0, ERROR_PROCESS_ABORTED, 0, 0, 0};
    SERVICE_STATUS_PROCESS now = {0};
    DWORD needed;
    SC_HANDLE service = OpenServiceA(manager, name, SERVICE_QUERY_STATUS | SET_STATUS);
    QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)&now, sizeof now, &needed);
    if (now.dwProcessId == pid && SetServiceStatus((SERVICE_STATUS_HANDLE)service, &stopped)) plan_recovery(name);
    CloseServiceHandle(service);
}

static void revive(SC_HANDLE manager)
{
    for (int at = 0; at < FAILURES_MOST && failures[at].name[0]; at++) {
        if (!failures[at].restart_at || GetTickCount64() < failures[at].restart_at) continue;
        failures[at].restart_at = 0;
        SC_HANDLE service = OpenServiceA(manager, failures[at].name, SERVICE_START);
        StartServiceA(service, 0, NULL);
        CloseServiceHandle(service);
    }
}

int main(void)
{
    static BYTE room[8192];
    ENUM_SERVICE_STATUS_PROCESSA *all = (ENUM_SERVICE_STATUS_PROCESSA *)room;
    SC_HANDLE manager = OpenSCManagerA(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    if (!manager) return (int)GetLastError();
    CloseHandle(CreateFileA("C:\\lab\\booted.txt", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL));
    for (;; Sleep(PERIOD_MS)) {
        DWORD needed, count = 0, resume = 0;
        EnumServicesStatusExA(manager, SC_ENUM_PROCESS_INFO, SERVICE_WIN32, SERVICE_ACTIVE, room, sizeof room, &needed,
                              &count, &resume, NULL);
        for (DWORD i = 0; i < count; i++) {
            DWORD pid = all[i].ServiceStatusProcess.dwProcessId;
            if (pid && is_dead(pid)) bury(manager, all[i].lpServiceName, pid);
        }
        revive(manager);
    }
}
