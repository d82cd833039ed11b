/* The module: two scans of a web page, which scan.py and article.py next to this folder call. */

#include "web.h"

static PyMethodDef methods[] = {
    {"scan", scan, METH_O, "Tags, names and features of a page's HTML, or None if it holds surrogates."},
    {"outline", (PyCFunction)(void (*)(void))outline, METH_FASTCALL,
     "Where the article of a serialized <body> is, or None if it cannot be read."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
