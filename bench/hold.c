/* hold.c - says that it runs, then waits for the end of its input: what bench-many keeps alive. Static
 * and tiny, so that what is measured is the sandbox around it. */
#include <unistd.h>

int main(void)
{
    char byte = '.';
    if (write(1, &byte, 1) != 1)
        return 1;
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}
