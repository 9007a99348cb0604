#include "verbs_library.h"

#include <dlfcn.h>
#include <string.h>

struct verbs_calls verbs;

static PyObject *verbs_error;
static int is_open;

struct symbol {
    const char *name;
    size_t offset;
    int is_optional;
};

#define SYMBOL(name) {"ibv_" #name, offsetof(struct verbs_calls, name), 0}

static const struct symbol symbols[] = {
    SYMBOL(get_device_list), SYMBOL(free_device_list), SYMBOL(get_device_name), SYMBOL(open_device), SYMBOL(close_device),
    SYMBOL(query_device),    SYMBOL(query_port),       SYMBOL(query_gid),       SYMBOL(alloc_pd),    SYMBOL(dealloc_pd),
    SYMBOL(reg_mr),          SYMBOL(dereg_mr),         SYMBOL(create_cq),       SYMBOL(destroy_cq),  SYMBOL(create_qp),
    SYMBOL(modify_qp),       SYMBOL(destroy_qp),       SYMBOL(create_ah),       SYMBOL(destroy_ah),  SYMBOL(wc_status_str),
    {"ibv_reg_dmabuf_mr", offsetof(struct verbs_calls, reg_dmabuf_mr), 1},
};

enum { SYMBOLS = sizeof symbols / sizeof symbols[0] };

PyObject *py_verbs_load(PyObject *module, PyObject *args)
{
    (void)module;
    const char *path;
    if (!PyArg_ParseTuple(args, "s:verbs_load", &path))
        return NULL;
    if (is_open)
        Py_RETURN_NONE;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return PyErr_Format(PyExc_OSError, "%s", dlerror());
    struct verbs_calls calls;
    memset(&calls, 0, sizeof calls);
    for (int index = 0; index < SYMBOLS; index++) {
        void *address = dlsym(library, symbols[index].name); /* the newest version, IBVERBS_1.1 */
        if (address == NULL && !symbols[index].is_optional) {
            dlclose(library);
            return PyErr_Format(PyExc_OSError, "%s has no %s", path, symbols[index].name);
        }
        memcpy((char *)&calls + symbols[index].offset, &address, sizeof address);
    }
    verbs = calls;
    is_open = 1;
    Py_RETURN_NONE;
}

int verbs_require(void)
{
    if (is_open)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "libibverbs is not open; call verbs_load first");
    return -1;
}

PyObject *verbs_outcome(struct breakage breakage)
{
    if (breakage.call == NULL)
        Py_RETURN_NONE;
    PyObject *status = Py_None;
    Py_INCREF(status);
    if (breakage.status >= 0) {
        Py_DECREF(status);
        status = PyLong_FromLong(breakage.status);
    }
    PyObject *arguments = status == NULL ? NULL
                                         : Py_BuildValue("sNIiLL", breakage.call, status, breakage.vendor_error,
                                                         breakage.error, (long long)breakage.messages,
                                                         (long long)breakage.waited_ns);
    if (arguments != NULL) {
        PyErr_SetObject(verbs_error, arguments);
        Py_DECREF(arguments);
    }
    return NULL;
}

int verbs_register(PyObject *module)
{
    verbs_error = PyErr_NewExceptionWithDoc("netprobe._native.VerbsError",
                                            "A verb failed: (call, completion status or None, vendor error, errno, "
                                            "messages that went well before, ns without any completion).",
                                            NULL, NULL);
    if (verbs_error == NULL)
        return -1;
    return PyModule_AddObjectRef(module, "VerbsError", verbs_error);
}
