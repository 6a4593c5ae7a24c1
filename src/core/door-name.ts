/** The address that a connection came to: the one that everybody uses, or that of administrators (`admin.port`). */
export type DoorName = 'main' | 'admin';
