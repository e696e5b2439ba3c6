/* What follows when a service's process dies, in the form that Windows keeps in a service's registry key. */
#include <string.h>
#include <windows.h>

#define FAILURE_ACTIONS_MOST 8
#define FAILURE_ACTIONS_OFFSET 20

struct failure_actions {
    DWORD reset_s, message, command, count, offset;
    struct { DWORD type, delay_ms; } action[FAILURE_ACTIONS_MOST];
};

static HKEY failure_actions_key(const char *service)
{
    char path[512] = "SYSTEM\\CurrentControlSet\\Services\\";
    HKEY key = NULL;
    strncat(path, service, 256);
    RegOpenKeyExA(HKEY_LOCAL_MACHINE, path, 0, KEY_ALL_ACCESS, &key);
    return key;
}

/* None, where there are none. */
static inline void failure_actions_read(const char *service, struct failure_actions *actions)
{
    HKEY key = failure_actions_key(service);
    DWORD size = sizeof *actions;
    memset(actions, 0, sizeof *actions);
    if (RegQueryValueExA(key, "FailureActions", NULL, NULL, (BYTE *)actions, &size)) actions->count = 0;
    RegCloseKey(key);
}

/* A Win32 error, or 0. */
static inline DWORD failure_actions_write(const char *service, const struct failure_actions *actions)
{
    HKEY key = failure_actions_key(service);
    DWORD size = FAILURE_ACTIONS_OFFSET + actions->count * sizeof actions->action[0];
    DWORD code = RegSetValueExA(key, "FailureActions", 0, REG_BINARY, (const BYTE *)actions, size);
    RegCloseKey(key);
    return code;
}
