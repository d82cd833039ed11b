/* The module: scans of a web page, which scan.py, nesting.py and article.py next to this folder call. */

#include "web.h"

static PyMethodDef methods[] = {
    {"scan", (PyCFunction)(void (*)(void))scan, METH_FASTCALL,
     "Tags, names and features of a page's HTML, or None if it holds surrogates."},
    {"nests_deeper", (PyCFunction)(void (*)(void))nests_deeper, METH_FASTCALL,
     "Whether more elements than this are open at once in a page's HTML."},
    {"outline", (PyCFunction)(void (*)(void))outline, METH_FASTCALL,
     "Where the article of a serialized <body> is, or None if it cannot be read."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_native(void) {
    prepare_kinds();
    PyObject *made = PyModule_Create(&module);
    if (made && PyModule_AddIntConstant(made, "VERSION", 11) < 0) Py_CLEAR(made); /* as in scan.py */
    return made;
}
