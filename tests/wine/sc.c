/* sc.exe as Windows prints it, over the real API: Wine's own prints no errors, no PIDs and no configuration.
 *
 * What the service control manager answers is Wine's; the words around it, and Microsoft's texts of errors, are ours.
 * The exit code is the Win32 error, as Windows' sc.exe has it. Recovery actions are kept in the registry in Windows' own
 * form (FailureActions), for Wine's service control manager takes and forgets them; watch.c acts on them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include "failure_actions.h"

#define SECTION "        "

static const struct { DWORD code; const char *text; } TEXTS[] = {
    {2, "The system cannot find the file specified."},
    {5, "Access is denied."},
    {87, "The parameter is incorrect."},
    {1051, "A stop control has been sent to a service that other running services are dependent on."},
    {1052, "The requested control is not valid for this service."},
    {1053, "The service did not respond to the start or control request in a timely fashion."},
    {1055, "The service database is locked."},
    {1056, "An instance of the service is already running."},
    {1058, "The service cannot be started, either because it is disabled or because it has no enabled devices associated"
           " with it."},
    {1060, "The specified service does not exist as an installed service."},
    {1061, "The service cannot accept control messages at this time."},
    {1062, "The service has not been started."},
    {1072, "The specified service has been marked for deletion."},
    {1073, "The specified service already exists."},
};

static const char *STATES[] = {"", "STOPPED", "START_PENDING", "STOP_PENDING", "RUNNING", "CONTINUE_PENDING",
                               "PAUSE_PENDING", "PAUSED"};
static const char *START_TYPES[] = {"BOOT_START", "SYSTEM_START", "AUTO_START", "DEMAND_START", "DISABLED"};
static const char *START_WORDS[] = {"boot", "system", "auto", "demand", "disabled"};
static const char *ERROR_CONTROLS[] = {"IGNORE", "NORMAL", "SEVERE", "CRITICAL"};

static SC_HANDLE manager;

static int failed(const char *call)
{
    DWORD code = GetLastError();
    const char *text = "";
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (TEXTS[i].code == code) text = TEXTS[i].text;
    printf("[SC] %s FAILED %lu:\n\n%s\n\n", call, code, text);
    return (int)code;
}

static int done(const char *call)
{
    printf("[SC] %s SUCCESS\n", call);
    return 0;
}

static const char *type_words(DWORD type)
{
    return type & SERVICE_WIN32_OWN_PROCESS ? "WIN32_OWN_PROCESS"
         : type & SERVICE_WIN32_SHARE_PROCESS ? "WIN32_SHARE_PROCESS" : "KERNEL_DRIVER";
}

static void print_status(const char *name, const char *shown, const SERVICE_STATUS_PROCESS *status, int extended)
{
    DWORD takes = status->dwControlsAccepted;
    printf("\nSERVICE_NAME: %s%s\n", name, shown ? "" : " ");
    if (shown) printf("DISPLAY_NAME: %s\n", shown);
    printf(SECTION "TYPE               : %lx  %s  \n", status->dwServiceType, type_words(status->dwServiceType));
    printf(SECTION "STATE              : %lu  %s \n", status->dwCurrentState, STATES[status->dwCurrentState & 7]);
    if (status->dwCurrentState != SERVICE_STOPPED)
        printf(SECTION SECTION SECTION SECTION "(%s, %s, %s)\n",
               takes & SERVICE_ACCEPT_STOP ? "STOPPABLE" : "NOT_STOPPABLE",
               takes & SERVICE_ACCEPT_PAUSE_CONTINUE ? "PAUSABLE" : "NOT_PAUSABLE",
               takes & SERVICE_ACCEPT_SHUTDOWN ? "ACCEPTS_SHUTDOWN" : "IGNORES_SHUTDOWN");
    printf(SECTION "WIN32_EXIT_CODE    : %lu  (0x%lx)\n", status->dwWin32ExitCode, status->dwWin32ExitCode);
    printf(SECTION "SERVICE_EXIT_CODE  : %lu  (0x%lx)\n", status->dwServiceSpecificExitCode,
           status->dwServiceSpecificExitCode);
    printf(SECTION "CHECKPOINT         : 0x%lx\n", status->dwCheckPoint);
    printf(SECTION "WAIT_HINT          : 0x%lx\n", status->dwWaitHint);
    if (extended) printf(SECTION "PID                : %lu\n" SECTION "FLAGS              : \n", status->dwProcessId);
}

static int print_one(SC_HANDLE service, const char *name, int extended)
{
    SERVICE_STATUS_PROCESS status;
    DWORD needed;
    if (!QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)&status, sizeof status, &needed))
        return failed("QueryServiceStatusEx");
    print_status(name, NULL, &status, extended);
    return 0;
}

static SC_HANDLE opened(const char *name, const char *call, int *code)
{
    SC_HANDLE service = OpenServiceA(manager, name, SERVICE_ALL_ACCESS);
    if (!service) *code = failed(call);
    return service;
}

static int list(int argc, char **argv, int extended)
{
    static BYTE room[262144];
    DWORD state = SERVICE_ACTIVE, needed, count, resume = 0;
    for (int i = 0; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "state=")) continue;
        state = !strcmp(argv[i + 1], "all") ? SERVICE_STATE_ALL
              : !strcmp(argv[i + 1], "inactive") ? SERVICE_INACTIVE : SERVICE_ACTIVE;
    }
    if (!EnumServicesStatusExA(manager, SC_ENUM_PROCESS_INFO, SERVICE_WIN32, state, room, sizeof room, &needed, &count,
                               &resume, NULL))
        return failed("EnumQueryServicesStatus");
    ENUM_SERVICE_STATUS_PROCESSA *all = (ENUM_SERVICE_STATUS_PROCESSA *)room;
    for (DWORD i = 0; i < count; i++)
        print_status(all[i].lpServiceName, all[i].lpDisplayName ? all[i].lpDisplayName : all[i].lpServiceName,
                     &all[i].ServiceStatusProcess, extended);
    return 0;
}

static int query(int argc, char **argv, int extended)
{
    int code = 0;
    if (!argc || strchr(argv[0], '=')) return list(argc, argv, extended);
    SC_HANDLE service = opened(argv[0], "EnumQueryServicesStatus:OpenService", &code);
    return service ? print_one(service, argv[0], extended) : code;
}

static int query_config(const char *name)
{
    static BYTE room[8192];
    QUERY_SERVICE_CONFIGA *config = (QUERY_SERVICE_CONFIGA *)room;
    int code = 0;
    DWORD needed;
    SC_HANDLE service = opened(name, "OpenService", &code);
    if (!service) return code;
    if (!QueryServiceConfigA(service, config, sizeof room, &needed)) return failed("QueryServiceConfig");
    SERVICE_DELAYED_AUTO_START_INFO delayed = {FALSE};
    QueryServiceConfig2A(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (BYTE *)&delayed, sizeof delayed, &needed);
    done("QueryServiceConfig");
    printf("\nSERVICE_NAME: %s\n", name);
    printf(SECTION "TYPE               : %lx  %s \n", config->dwServiceType, type_words(config->dwServiceType));
    printf(SECTION "START_TYPE         : %lu   %s%s\n", config->dwStartType, START_TYPES[config->dwStartType % 5],
           delayed.fDelayedAutostart ? "  (DELAYED)" : "");
    printf(SECTION "ERROR_CONTROL      : %lu   %s\n", config->dwErrorControl, ERROR_CONTROLS[config->dwErrorControl & 3]);
    printf(SECTION "BINARY_PATH_NAME   : %s\n" SECTION "LOAD_ORDER_GROUP   : \n" SECTION "TAG                : 0\n",
           config->lpBinaryPathName);
    printf(SECTION "DISPLAY_NAME       : %s\n" SECTION "DEPENDENCIES       : \n" SECTION "SERVICE_START_NAME : %s\n",
           config->lpDisplayName, config->lpServiceStartName);
    return 0;
}

static int control(const char *name, const char *verb)
{
    int code = 0, starts = !strcmp(verb, "start");
    SERVICE_STATUS ignored;
    SC_HANDLE service = opened(name, starts ? "StartService: OpenService" : "OpenService", &code);
    if (!service) return code;
    if (starts) {
        if (!StartServiceA(service, 0, NULL)) return failed("StartService");
    } else {
        DWORD wanted = !strcmp(verb, "stop") ? SERVICE_CONTROL_STOP
                     : !strcmp(verb, "pause") ? SERVICE_CONTROL_PAUSE
                     : !strcmp(verb, "continue") ? SERVICE_CONTROL_CONTINUE : SERVICE_CONTROL_INTERROGATE;
        if (!ControlService(service, wanted, &ignored)) return failed("ControlService");
    }
    return print_one(service, name, starts);
}

static int configure(int argc, char **argv)
{
    int code = 0;
    DWORD start = SERVICE_NO_CHANGE;
    SERVICE_DELAYED_AUTO_START_INFO delayed = {FALSE};
    SC_HANDLE service = opened(argv[0], "OpenService", &code);
    if (!service) return code;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "start=")) continue;
        delayed.fDelayedAutostart = !strcmp(argv[i + 1], "delayed-auto");
        if (delayed.fDelayedAutostart) start = SERVICE_AUTO_START;
        for (DWORD at = 0; at < 5; at++)
            if (!strcmp(argv[i + 1], START_WORDS[at])) start = at;
    }
    if (start == SERVICE_NO_CHANGE) SetLastError(ERROR_INVALID_PARAMETER);
    if (start == SERVICE_NO_CHANGE || !ChangeServiceConfigA(service, SERVICE_NO_CHANGE, start, SERVICE_NO_CHANGE, NULL,
                                                            NULL, NULL, NULL, NULL, NULL, NULL))
        return failed("ChangeServiceConfig");
    ChangeServiceConfig2A(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &delayed);
    return done("ChangeServiceConfig");
}

static int set_failure(int argc, char **argv)
{
    struct failure_actions actions = {.offset = FAILURE_ACTIONS_OFFSET};
    int code = 0;
    if (!opened(argv[0], "OpenService", &code)) return code;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "reset=")) actions.reset_s = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "actions=")) continue;
        for (char *kind = strtok(argv[i + 1], "/"); kind && actions.count < FAILURE_ACTIONS_MOST;) {
            char *delay = strtok(NULL, "/");
            actions.action[actions.count].type = !strcmp(kind, "restart") ? SC_ACTION_RESTART : SC_ACTION_NONE;
            actions.action[actions.count++].delay_ms = delay ? strtoul(delay, NULL, 10) : 0;
            kind = strtok(NULL, "/");
        }
    }
    SetLastError(failure_actions_write(argv[0], &actions));
    return GetLastError() ? failed("ChangeServiceConfig2") : done("ChangeServiceConfig2");
}

static int query_failure(const char *name)
{
    struct failure_actions actions;
    int code = 0;
    if (!opened(name, "OpenService", &code)) return code;
    failure_actions_read(name, &actions);
    done("QueryServiceConfig2");
    printf("\nSERVICE_NAME: %s\n" SECTION "RESET_PERIOD (in seconds)    : %lu\n", name, actions.reset_s);
    printf(SECTION "REBOOT_MESSAGE               : \n" SECTION "COMMAND_LINE                 : \n");
    for (DWORD i = 0; i < actions.count; i++) {
        const char *label = i ? "                               " : "FAILURE_ACTIONS              : ";
        if (actions.action[i].type == SC_ACTION_RESTART)
            printf(SECTION "%sRESTART -- Delay = %lu milliseconds.\n", label, actions.action[i].delay_ms);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    manager = OpenSCManagerA(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    if (!manager) return failed("OpenSCManager");
    if (!strcmp(verb, "query")) return query(argc - 2, argv + 2, 0);
    if (!strcmp(verb, "queryex")) return query(argc - 2, argv + 2, 1);
    if (argc < 3) return ERROR_INVALID_PARAMETER;
    if (!strcmp(verb, "qc")) return query_config(argv[2]);
    if (!strcmp(verb, "config")) return configure(argc - 2, argv + 2);
    if (!strcmp(verb, "failure")) return set_failure(argc - 2, argv + 2);
    if (!strcmp(verb, "qfailure")) return query_failure(argv[2]);
    if (strstr(" start stop pause continue interrogate ", verb)) return control(argv[2], verb);
    printf("\n*** Unrecognized Command ***\n");
    return ERROR_INVALID_PARAMETER;
}
