/* As much of libnvidia-ml.so.1 as netprobe asks for, with one GPU, so that nvidia-ml-py is called as it really is.
 *
 * FAKE_NVML in the environment: "lost" makes each question about the GPU end with NVML_ERROR_GPU_IS_LOST. Structures
 * and prototypes are those of nvml.h (CUDA 12 and 13). */

#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };
#define GPU ((void *)0x1234)
#define ANSWER(code) return lost() ? GPU_IS_LOST : device != GPU ? INVALID_ARGUMENT : (code)

typedef struct {
	char bus_id_legacy[16];
	unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
	char bus_id[32];
} pci_info;

typedef struct {
	unsigned field, scope;
	long long timestamp, latency_us;
	int type, code;
	union { double d; unsigned u; unsigned long ul; unsigned long long ull; } value;
} field_value;

typedef struct { unsigned long long reference_us, violation_ns; } violation;

static int lost(void)
{
	const char *how = getenv("FAKE_NVML");
	return how != NULL && strcmp(how, "lost") == 0;
}

const char *nvmlErrorString(int code) { return code == GPU_IS_LOST ? "GPU is lost" : "an error"; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "570.86.15", size); return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
	*device = GPU;
	return index == 0 ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlDeviceGetPciInfo_v3(void *device, pci_info *info)
{
	strcpy(info->bus_id, "00000000:AF:00.0");
	return device == GPU ? SUCCESS : INVALID_ARGUMENT; /* known also of a GPU that is lost */
}

int nvmlDeviceGetName(void *device, char *text, unsigned size) { strncpy(text, "Fake", size); ANSWER(SUCCESS); }
int nvmlDeviceGetClockInfo(void *device, unsigned kind, unsigned *mhz) { *mhz = 1000 + kind; ANSWER(SUCCESS); }
int nvmlDeviceGetMaxClockInfo(void *device, unsigned kind, unsigned *mhz) { *mhz = 2000 + kind; ANSWER(SUCCESS); }
int nvmlDeviceGetApplicationsClock(void *device, unsigned kind, unsigned *mhz) { *mhz = kind; ANSWER(NOT_SUPPORTED); }
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *c) { *c = 60 + sensor; ANSWER(SUCCESS); }
int nvmlDeviceGetTemperatureThreshold(void *device, unsigned kind, unsigned *c) { *c = 86 + kind; ANSWER(SUCCESS); }
int nvmlDeviceGetPowerUsage(void *device, unsigned *mw) { *mw = 650500; ANSWER(SUCCESS); }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *mw) { *mw = 700000; ANSWER(SUCCESS); }
int nvmlDeviceGetCurrPcieLinkGeneration(void *device, unsigned *n) { *n = 4; ANSWER(SUCCESS); }
int nvmlDeviceGetMaxPcieLinkGeneration(void *device, unsigned *n) { *n = 5; ANSWER(SUCCESS); }
int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *n) { *n = 8; ANSWER(SUCCESS); }
int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *n) { *n = 16; ANSWER(SUCCESS); }
int nvmlDeviceGetPcieReplayCounter(void *device, unsigned *n) { *n = 3; ANSWER(SUCCESS); }

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *bits)
{
	*bits = 0x48;
	ANSWER(SUCCESS);
}

int nvmlDeviceGetTotalEccErrors(void *device, int kind, int counter, unsigned long long *count)
{
	*count = 10 + kind;
	ANSWER(counter == 0 ? SUCCESS : INVALID_ARGUMENT);
}

int nvmlDeviceGetRemappedRows(void *device, unsigned *corrected, unsigned *uncorrected, unsigned *pending,
			      unsigned *failed)
{
	*corrected = 2;
	*uncorrected = 1;
	*pending = 1;
	*failed = 0;
	ANSWER(SUCCESS);
}

int nvmlDeviceGetViolationStatus(void *device, int policy, violation *told)
{
	told->violation_ns = 1000000ULL * policy;
	ANSWER(policy == 1 ? SUCCESS : NOT_SUPPORTED);
}

int nvmlDeviceGetNvLinkState(void *device, unsigned link, unsigned *active)
{
	*active = link != 1;
	ANSWER(link < 4 ? SUCCESS : INVALID_ARGUMENT);
}

int nvmlDeviceGetNvLinkRemoteDeviceType(void *device, unsigned link, int *kind)
{
	*kind = 2; /* a switch */
	ANSWER(link < 4 ? SUCCESS : INVALID_ARGUMENT);
}

int nvmlDeviceGetMemoryAffinity(void *device, unsigned words, unsigned long *nodes, unsigned scope)
{
	for (unsigned word = 0; word < words; word++)
		nodes[word] = word == 0 ? 2 : 0; /* node 1 */
	ANSWER(scope == 0 ? SUCCESS : INVALID_ARGUMENT);
}

int nvmlDeviceGetNvLinkVersion(void *device, unsigned link, unsigned *version)
{
	*version = 6; /* 4.0 */
	ANSWER(link < 4 ? SUCCESS : INVALID_ARGUMENT);
}

int nvmlDeviceGetNvLinkErrorCounter(void *device, unsigned link, unsigned kind, unsigned long long *count)
{
	*count = kind == 3 ? 100 * link : 1;
	ANSWER(kind == 1 ? NOT_SUPPORTED : SUCCESS);
}

int nvmlDeviceGetFieldValues(void *device, int count, field_value *values)
{
	for (int at = 0; at < count; at++) {
		values[at].code = values[at].field == 215 ? SUCCESS : NOT_SUPPORTED;
		values[at].value.ull = values[at].scope;
	}
	ANSWER(SUCCESS);
}
